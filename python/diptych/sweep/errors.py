"""What ends a sweep, or a part of it, with one line."""

from collections.abc import Iterable


class SweepError(Exception):
    """The sweep cannot begin or go on."""


class PlanError(SweepError):
    """The plan is wrong; the message names file and line."""


class WorkError(Exception):
    """A part of a cell has no result: what diptych said. Others go on."""


class WorkerLost(Exception):
    """The process that was at a part of a cell was killed; it may be tried again."""


def some(all_names: Iterable[object], most: int = 20) -> str:
    """Names as a list of at most 20."""
    names = [str(name) for name in all_names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
