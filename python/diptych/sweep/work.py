"""What a worker does for a cell or a part of one: calls of the diptych command, and what they said.

A piece of work can be sent to another process or machine. It has all that it needs, the exports that it reads
included: where one is not on the machine, it is made again, and the same bytes come of it.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from diptych.sweep.errors import WorkError
from diptych.sweep.inputs import Files
from diptych.sweep.tool import Tool

Result = dict[str, Any]


class Place:
    """Where work is done: a machine's diptych, and a folder for exports."""

    def __init__(self, tool: Tool, exports: Path, threads: int = 1):
        self.tool, self.exports, self.threads = tool, exports, threads

    def path(self, files: Files) -> str:
        """Where files are that the plan names."""
        return files.path

    def export_path(self, export: "Export") -> Path:
        return self.exports / f"{export.key}.pte"

    def exported(self, export: "Export") -> str:
        """An export, made if it is not here."""
        path = self.export_path(export)
        if not path.exists():
            export.run(self)
        return str(path)


class Work(Protocol):
    """What all pieces of work have."""

    @property
    def exports(self) -> tuple["Export", ...]:
        """What it reads."""

    @property
    def memory(self) -> int:
        """Bytes that it is likely to take."""

    @property
    def alone(self) -> bool:
        """Whether nothing else may run beside it, since it measures time."""

    def run(self, place: Place) -> Result: ...


@dataclass(frozen=True)
class NamedFile:
    """A value of an option: NAME=FILE, or a file."""

    prefix: str
    files: Files


Argument = str | NamedFile


@dataclass(frozen=True)
class Export:
    """A checkpoint becomes a .pte."""

    key: str
    model: Files
    params: Files | None
    arguments: tuple[Argument, ...]
    forecast: "Forecast"
    exports: tuple["Export", ...] = ()
    alone: bool = False

    @property
    def memory(self) -> int:
        return self.forecast.peak_memory_bytes

    def source(self, place: Place) -> tuple[str, ...]:
        params = ("--params", place.path(self.params)) if self.params else ()
        return place.path(self.model), *params

    def options(self, place: Place) -> tuple[str, ...]:
        return tuple(a if isinstance(a, str) else a.prefix + place.path(a.files) for a in self.arguments)

    def run(self, place: Place) -> Result:
        path = place.export_path(self)
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        place.tool.call("export", *self.source(place), *self.options(place), "--no_check", "--threads", place.threads,
                        "-o", path)  # fmt: skip
        seconds = time.monotonic() - begin
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return {"bytes": path.stat().st_size, "sha256": digest.hexdigest(), "seconds": seconds}


@dataclass(frozen=True)
class Forecast:
    """What `export --dry-run` says."""

    file_bytes: int
    peak_memory_bytes: int
    cache_bytes: int
    context: int

    @property
    def memory_of_running(self) -> int:
        """The file, which is mapped; the cache; buffers; what is made of weights that are not used as they lie."""
        return self.file_bytes + self.file_bytes // 2 + 2 * self.cache_bytes + (96 << 20)


class OfOneExport:
    """What work has that reads one export, and takes what running it does."""

    export: Export
    alone = False

    @property
    def exports(self) -> tuple[Export, ...]:
        return (self.export,)

    @property
    def memory(self) -> int:
        return self.export.forecast.memory_of_running


@dataclass(frozen=True)
class Verify(OfOneExport):
    """`diptych verify` of an export beside its source."""

    export: Export

    @property
    def memory(self) -> int:
        """With that of the source's own graph."""
        return super().memory + self.export.memory

    def run(self, place: Place) -> Result:
        model, *params = self.export.source(place)
        options = (*params, *self._adapters(place), "--threads", place.threads)
        found = place.tool.json("verify", place.exported(self.export), "--source", model, *options, statuses=(0, 1))
        failed = [check["check"] for check in found["checks"] if check["outcome"] == "failed"]
        return {"passed": found["passed"], "failed": failed}

    def _adapters(self, place: Place) -> tuple[str, ...]:
        options = self.export.options(place)
        pairs = zip(options, options[1:])
        return tuple(part for name, value in pairs if name == "--adapter" for part in (name, value))


@dataclass(frozen=True)
class Text:
    """A part of the windows of a text, predicted by an export and by its reference."""

    export: Export
    reference: Export | None
    text: Files
    options: tuple[str, ...]
    part: str  # "1/3"
    alone: bool = False

    @property
    def exports(self) -> tuple[Export, ...]:
        return (self.export, self.reference) if self.reference else (self.export,)

    @property
    def memory(self) -> int:
        return sum(export.forecast.memory_of_running for export in self.exports)

    def run(self, place: Place) -> Result:
        against = ("--against", place.exported(self.reference)) if self.reference else ()
        found = place.tool.json("eval", place.exported(self.export), "--text", place.path(self.text), *self.options,
                                *against, "--part", self.part, "--threads", place.threads)  # fmt: skip
        return {"windows": found["sums"]}


@dataclass(frozen=True)
class Speed(OfOneExport):
    """`diptych bench` of an export, with all CPUs."""

    export: Export
    prompt: int
    generate: int
    depth: int
    alone = True

    def run(self, place: Place) -> Result:
        rows = place.tool.json("bench", place.exported(self.export), "-p", self.prompt, "-n", self.generate,
                               "-d", self.depth, "-r", 3)  # fmt: skip
        result: Result = {"load_seconds": rows[0]["load_seconds"], "machine": rows[0]["machine"]}
        for row in rows:
            if row["skipped"]:
                raise WorkError(f"bench {row['test']}: {row['skipped']}")
            result["prompt_speed" if row["test"].startswith("pp") else "speed"] = row["median"]
        return result
