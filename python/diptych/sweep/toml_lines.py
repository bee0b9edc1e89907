"""On which line of a TOML text a key is; parsers do not say."""

import sys
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path = tuple[str, ...]


def _paths(value: Any) -> Iterator[Path]:
    """Of all keys in a table and the tables within it, outer ones first."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (key,)
            for path in _paths(inner):
                yield (key, *path)


def lines_of_keys(text: str) -> dict[Path, int]:
    """The line where each key of a text that parses first stands, by the keys that lead to it."""
    lines: dict[Path, int] = {}
    table: Path = ()
    statement, begin = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            begin = number
        statement += line + "\n"
        # A statement ends with the first line at which it parses: values may go over several.
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        paths = list(_paths(parsed))
        if statement.lstrip().startswith("["):
            table = ()
        for path in paths:
            lines.setdefault(table + path, begin)
        if statement.lstrip().startswith("["):
            table = paths[-1]
        statement = ""
    return lines
