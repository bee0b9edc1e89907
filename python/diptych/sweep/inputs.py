"""The files that a sweep reads, told by their contents."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from diptych.sweep.errors import SweepError

# What an export looks for beside a .pth file.
_BESIDE = ("params.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json", "config.json",
           "special_tokens_map.json", "generation_config.json", "chat_template.jinja", "added_tokens.json")  # fmt: skip


@dataclass(frozen=True)
class Files:
    """A file or a folder that a command is given, with what it reads beside it."""

    root: str  # a folder
    entry: str  # what the command is given, within root; "" is root itself
    names: tuple[str, ...]  # within root
    digest: str  # of names and contents

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.entry) if self.entry else self.root

    @property
    def key(self) -> str:
        """What results follow from: not where the files lie."""
        return f"{self.digest}:{self.entry}"


class Digests:
    """Digests of files, kept from sweep to sweep with what shows that a file has not changed."""

    def __init__(self, kept_in: Path):
        self._path = kept_in
        self._known: dict[str, list[object]] = {}
        try:
            known = json.loads(kept_in.read_text())
            if isinstance(known, dict):
                self._known = known
        except (OSError, ValueError):
            pass  # then all are computed

    def file(self, path: Path) -> str:
        try:
            status = path.stat()
            mark = [status.st_size, status.st_mtime_ns, status.st_ino]
            known = self._known.get(str(path))
            if isinstance(known, list) and known[:3] == mark and len(known) == 4:
                return str(known[3])
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise SweepError(f"{path}: {error.strerror}") from error
        self._known[str(path)] = [*mark, digest.hexdigest()]
        return digest.hexdigest()

    def save(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._known, sort_keys=True))
        part.replace(self._path)

    def files(self, path: Path) -> Files:
        """A file, or a folder with all files in it that are not hidden, nor in hidden folders."""
        if path.is_dir():
            inside = (p.relative_to(path) for p in path.rglob("*") if p.is_file())
            names = sorted(str(p) for p in inside if not any(part.startswith(".") for part in p.parts))
            return self._of(path, "", names)
        beside = [name for name in _BESIDE if (path.parent / name).is_file()] if path.suffix == ".pth" else []
        return self._of(path.parent, path.name, sorted({path.name, *beside}))

    def _of(self, root: Path, entry: str, names: list[str]) -> Files:
        contents = [[name, self.file(root / name)] for name in names]
        digest = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
        return Files(str(root.absolute()), entry, tuple(names), digest)
