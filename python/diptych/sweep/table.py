"""What came out, as rows: one for each export and text or task, in the plan's order."""

import json
from typing import Any

from diptych.sweep.cells import Cell
from diptych.sweep.results import Log
from diptych.sweep.work import Result

Row = dict[str, Any]

# The columns of a table: heading, key of a row, how a value is written.
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("model", "model", ""),
    ("recipe", "recipe", ""),
    ("shape", "shape", ""),
    ("text or task", "on", ""),
    ("MB", "bytes", "MB"),
    ("verified", "verified", ""),
    ("perplexity", "perplexity", ".4f"),
    ("of the reference", "against_perplexity", ".4f"),
    ("KL", "kl", ".3g"),
    ("same top-1", "top1", ".2%"),
    ("score", "score", ".4f"),
    ("load, s", "load_seconds", ".3f"),
    ("prompt, tok/s", "prompt_speed", ".1f"),
    ("tok/s", "speed", ".1f"),
    ("Pareto", "pareto", ""),
    ("note", "note", ""),
)
# What differs from run to run.
MEASURED = ("load_seconds", "prompt_speed", "speed", "machine", "pareto")


def rows_of(cells: list[Cell], log: Log, failures: dict[str, str]) -> list[Row]:
    exports: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in (cell for cell in cells if cell.row[1]):
        exports.setdefault(cell.row, {})[cell.kind + cell.name] = cell
    rows = []
    for (model, recipe, shape), of_export in exports.items():
        common: Row = {"model": model, "recipe": recipe, "shape": shape}
        common.update(_common(of_export, log, failures))
        cells_judged = [cell for cell in of_export.values() if cell.kind in ("text", "task")]
        judged = [row for cell in cells_judged for row in _judged(cell, log, failures)]
        rows += [{**common, **row} for row in judged or [{}]]
    for row in rows:
        row["pareto"] = _on_front(row, rows)
    return rows


def _common(cells: dict[str, Cell], log: Log, failures: dict[str, str]) -> Row:
    row: Row = {}
    notes = [f"{kind}: {failures[cell.key]}" for kind, cell in cells.items()
             if cell.kind in ("export", "verify", "speed") and cell.key in failures]  # fmt: skip
    export = log.get(cells["export"].key)
    row["bytes"] = export["bytes"] if export else None
    if "verify" in cells:
        verified = log.get(cells["verify"].key)
        row["verified"] = verified["passed"] if verified else None
        if verified and not verified["passed"]:
            notes.append("failed checks: " + ", ".join(verified["failed"]))
    if "speed" in cells:
        row.update(log.get(cells["speed"].key) or {})
    row["note"] = "; ".join(notes)
    return row


def _judged(cell: Cell, log: Log, failures: dict[str, str]) -> list[Row]:
    """A row; of a group of tasks one more for each group and task in it."""
    row: Row = {"on": cell.name, "kind": cell.kind}
    result: Result = dict(log.get(cell.key) or {})
    if not result and cell.key in failures:
        row["note"] = failures[cell.key]
    within = result.pop("tasks", {})
    return [{**row, **result}] + [{**row, "on": f"{cell.name}: {name}", **scored} for name, scored in within.items()]


def quality(row: Row) -> float | None:
    """What is less for a better export: the distance from the reference, else perplexity, else minus the score."""
    for key, sign in (("kl", 1), ("perplexity", 1), ("score", -1)):
        if row.get(key) is not None:
            return sign * float(row[key])
    return None


def group(row: Row) -> tuple[Any, ...]:
    """Rows that are comparable: of one task, or of one model and text, whose tokens others do not share."""
    return ("task", row["on"]) if row.get("kind") == "task" else ("text", row.get("on"), row["model"])


def _aims(row: Row) -> tuple[float, ...] | None:
    """Less is better."""
    value = quality(row)
    if row.get("bytes") is None or value is None:
        return None
    return (row["bytes"], value, -(row.get("speed") or 0.0))


def _on_front(row: Row, rows: list[Row]) -> bool:
    """Whether no comparable row is as good in bytes, quality and speed, and better in one of them."""
    mine = _aims(row)
    if mine is None:
        return False
    others = (_aims(other) for other in rows if group(other) == group(row))
    return not any(o and o != mine and all(a <= b for a, b in zip(o, mine)) for o in others)


def written(row: Row, key: str, form: str) -> str:
    value = row.get(key)
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return ("yes" if value else "no") if key == "verified" else ("*" if value else "")
    if form == "MB":
        return f"{value / 1e6:.2f}"
    return format(value, form)


def columns_of(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Those that some row has a value in."""
    return [column for column in COLUMNS if any(written(row, *column[1:]) for row in rows)]


def markdown(rows: list[Row]) -> str:
    columns = columns_of(rows)
    table = [[heading for heading, _, _ in columns]]
    table += [[written(row, key, form).replace("|", "\\|") for _, key, form in columns] for row in rows]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |" for cells in table]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines) + "\n"


def as_json(rows: list[Row]) -> str:
    return json.dumps(rows, indent=1, sort_keys=True) + "\n"
