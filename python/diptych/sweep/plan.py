"""A plan: which models by which recipes in which shapes, on which texts and tasks. All of it is checked before any
work, with the line of what is wrong and the names that are valid."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diptych._native import NUMERICS
from diptych.sweep.errors import PlanError, some
from diptych.sweep.toml_lines import lines_of_keys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST_BYTES = 1 << 20

# Options of export that the sweep sets itself.
_OURS = {"checkpoint", "params", "output", "check", "no_check", "verify", "quant_report", "dry_run", "json", "threads",
         "help", "version"}  # fmt: skip
# Options of export that name files; of an adapter behind the last "=".
FILE_OPTIONS = {"calibration", "tokenizer", "adapter"}

Options = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """A key of a table of the plan: the type of its value, and the least one of numbers."""

    type: str  # of _TYPES
    least: int = 0
    needed: bool = False


_TYPES: dict[str, tuple[str, Any]] = {
    "text": ("a text", str),
    "path": ("a path", str),
    "file": ("a path", str),
    "count": ("a whole number", int),
    "flag": ("true or false", bool),
    "names": ("a list of names", list),
    "reference": ("the name of a recipe, or false", str),
}

# The tables of a plan and their keys. In those that say how to export, options of export stand beside them.
_TABLES: dict[str, dict[str, Key]] = {
    "models": {"checkpoint": Key("path", needed=True), "params": Key("path")},
    "recipes": {"models": Key("names")},
    "shapes": {"models": Key("names")},
    "texts": {"file": Key("file", needed=True), "positions": Key("count"), "context": Key("count"),
              "shards": Key("count", 1), "models": Key("names")},
    "tasks": {"task": Key("text"), "include": Key("path"), "limit": Key("count", 1), "fewshot": Key("count"),
              "shards": Key("count", 1), "models": Key("names")},
}  # fmt: skip
_EXPORTS = ("models", "recipes", "shapes")
_MEASURE = {"numerics": Key("text"), "reference": Key("reference"), "verify": Key("flag"), "speed": Key("flag"),
            "prompt": Key("count"), "generate": Key("count", 1), "depth": Key("count")}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A table such as [models.demo]: its keys, and options of export."""

    kind: str
    name: str
    values: Mapping[str, Any]
    options: Options = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def fits(self, model: str) -> bool:
        return model in self.get("models", [model])


@dataclass(frozen=True)
class Plan:
    path: Path
    tables: Mapping[str, tuple[Entry, ...]]
    measure: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    def __getitem__(self, kind: str) -> tuple[Entry, ...]:
        return self.tables[kind]

    def wrong(self, message: str, *keys: str) -> PlanError:
        """An error at the line of a key, or of the table that would hold it."""
        known = [keys[:count] for count in range(len(keys), 0, -1) if keys[:count] in self.lines]
        line = f":{self.lines[known[0]]}" if known else ""
        return PlanError(f"{self.path}{line}: {message}")

    def combined(self, *entries: Entry) -> Options:
        """The options of an export by these entries, none of which may contradict another."""
        options: Options = {}
        owner: dict[str, Entry] = {}
        for entry in entries:
            for name, value in entry.options.items():
                if name in options and options[name] != value:
                    other = owner[name]
                    raise self.wrong(
                        f"{name}: {other.kind}.{other.name} (line {self.lines[other.kind, other.name]}) has it too; "
                        "set it in one of both",
                        entry.kind, entry.name, name,
                    )  # fmt: skip
                options[name], owner[name] = value, entry
        return options


def read_plan(path: Path, export_options: Mapping[str, bool]) -> Plan:
    """Reads and checks a plan. `export_options` are the options of `diptych export`, and whether they take values."""
    try:
        with open(path, "rb") as file:
            contents = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from error
    if len(contents) > _MOST_BYTES:
        raise PlanError(f"{path}: expected at most {_MOST_BYTES} bytes")
    try:
        text = contents.decode().replace("\r\n", "\n")
        parsed = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = contents[: error.start].count(b"\n") + 1
        raise PlanError(f"{path}:{line}: expected UTF-8, found byte 0x{contents[error.start]:02x}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PlanError(f"{path}: {error}") from error
    return _Reader(path, text, parsed, export_options).plan()


class _Reader:
    def __init__(self, path: Path, text: str, parsed: dict[str, Any], export_options: Mapping[str, bool]):
        self._parsed = parsed
        self._plan = Plan(path, {}, {}, lines_of_keys(text))
        names = (name.replace("-", "_") for name in export_options)
        self._export = {name: export_options[name] for name in names if name not in _OURS}

    def plan(self) -> Plan:
        self._known(self._parsed, [*_TABLES, "measure"])
        tables = {kind: self._table(kind) for kind in _TABLES}
        for kind in ("models", "recipes"):
            if not tables[kind]:
                raise self._plan.wrong(f"expected a table [{kind}.NAME] at least")
        models = [entry.name for entry in tables["models"]]
        for kind in tables:
            for entry in tables[kind]:
                for name in entry.get("models", []):
                    if name not in models:
                        raise self._plan.wrong(
                            f"there is no model {name!r}, expected one of {some(models)}", kind, entry.name, "models"
                        )
        return Plan(self._plan.path, tables, self._measure(tables["recipes"]), self._plan.lines)

    def _known(self, table: Mapping[str, Any], names: list[str], *at: str) -> None:
        for name in table:
            if name not in names:
                raise self._plan.wrong(f"unknown key {name!r}, expected one of {some(names, 60)}", *at, name)

    def _table(self, kind: str) -> tuple[Entry, ...]:
        entries = self._parsed.get(kind, {})
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise self._plan.wrong(f"{kind}: expected tables [{kind}.NAME]", kind)
        return tuple(self._entry(kind, name, entries[name]) for name in entries)

    def _entry(self, kind: str, name: str, values: dict[str, Any]) -> Entry:
        if not name or not name.isprintable():
            raise self._plan.wrong(f"{kind}: expected a printable name, found {name!r}", kind, name)
        keys = _TABLES[kind]
        exports = self._export if kind in _EXPORTS else {}
        self._known(values, [*keys, *exports], kind, name)
        own = self._values(keys, values, kind, name)
        options = {key: self._option(key, value, kind, name) for key, value in values.items() if key not in keys}
        return Entry(kind, name, own, options)

    def _values(self, keys: Mapping[str, Key], values: Mapping[str, Any], *at: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, key in keys.items():
            if name in values:
                found[name] = self._value(key, values[name], *at, name)
            elif key.needed:
                raise self._plan.wrong(f"expected a key {name!r}", *at)
        return found

    def _value(self, key: Key, value: Any, *at: str) -> Any:
        words, kind = _TYPES[key.type]
        fits = type(value) is kind
        if key.type == "names":
            fits = fits and all(isinstance(name, str) for name in value)
        if key.type == "reference":
            fits = fits or value is False
        if not fits:
            raise self._plan.wrong(f"{at[-1]}: expected {words}, found {value!r}", *at)
        if key.type == "count" and not key.least <= value <= 10**9:
            raise self._plan.wrong(f"{at[-1]}: expected {key.least} to 1000000000, found {value}", *at)
        if key.type not in ("path", "file"):
            return value
        path = self._existing(value, *at)
        if key.type == "file" and not (path.is_file() and path.stat().st_size > 0):
            raise self._plan.wrong(f"{at[-1]}: expected a file that is not empty, found {path}", *at)
        return path

    def _existing(self, value: str, *at: str) -> Path:
        """Paths are those beside the plan."""
        path = self._plan.path.parent / value
        if "\0" in value or not path.exists():
            raise self._plan.wrong(f"{at[-1]}: there is no {path}", *at)
        return path

    def _option(self, name: str, value: Any, *at: str) -> Any:
        one = value if isinstance(value, list) else [value]
        takes_value = self._export[name]
        if any(type(part) not in ((str, int, float) if takes_value else (bool,)) for part in one) or not one:
            words = "a text, a number or a list of them" if takes_value else "true or false"
            raise self._plan.wrong(f"{name}: expected {words}, found {value!r}", *at, name)
        if name in FILE_OPTIONS:
            for part in one:
                self._existing(str(part).rpartition("=")[2], *at, name)
        return value

    def _measure(self, recipes: tuple[Entry, ...]) -> dict[str, Any]:
        table = self._parsed.get("measure", {})
        if not isinstance(table, dict):
            raise self._plan.wrong("measure: expected a table [measure]", "measure")
        self._known(table, list(_MEASURE), "measure")
        found = self._values(_MEASURE, table, "measure")
        names = [recipe.name for recipe in recipes]
        for key, valid in (("numerics", list(NUMERICS)), ("reference", names)):
            if found.get(key) and found[key] not in valid:
                raise self._plan.wrong(f"{key}: expected one of {some(valid)}, found {found[key]!r}", "measure", key)
        return found


def reference_of(plan: Plan) -> Options | None:
    """The options of the export that others are compared with, beside those of the model and the shape."""
    name = plan.measure.get("reference")
    if name is False:
        return None
    named = [recipe.options for recipe in plan["recipes"] if recipe.name == name]
    return named[0] if named else {"recipe": "none"}
