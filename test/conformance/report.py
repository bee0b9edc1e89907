"""What the conformance suite found: rows, and the table of them."""

import dataclasses
import json
from typing import Optional


@dataclasses.dataclass
class Row:
    """One case. Differences are of logits, or of outputs where a model has none."""

    case: str
    ok: bool
    top1: Optional[float] = None
    max_diff: Optional[float] = None
    mean_diff: Optional[float] = None
    seconds: Optional[float] = None
    note: str = ""

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(line):
        return Row(**json.loads(line))


def compared(case, got, wanted, tolerance, seconds, least_top1=0.98):
    """The row of logits [positions, vocabulary] beside those of the eager model."""
    import numpy as np

    difference = np.abs(got - wanted)
    top1 = float((got.argmax(-1) == wanted.argmax(-1)).mean())
    ok = bool(np.isfinite(got).all() and difference.max() <= tolerance and top1 >= least_top1)
    note = "" if ok else f"allowed: max {tolerance:g}, top-1 {least_top1:.0%}"
    return Row(case, ok, top1, float(difference.max()), float(difference.mean()), seconds, note)


HEADER = ("case", "top-1", "max |Δ|", "mean |Δ|", "time", "")


def cells(row):
    def number(value, form):
        return "-" if value is None else format(value, form)

    top1 = "-" if row.top1 is None else f"{row.top1:.1%}"
    seconds = "-" if row.seconds is None else f"{row.seconds:.1f} s"
    verdict = "ok" if row.ok else "FAILED"
    if row.note:
        verdict += f": {row.note}"
    return (row.case, top1, number(row.max_diff, ".2e"), number(row.mean_diff, ".2e"), seconds, verdict)


def line(values, width):
    case, *rest, verdict = values
    return case.ljust(width) + "".join(v.rjust(10) for v in rest) + "  " + verdict


def summary(rows):
    failed = [row for row in rows if not row.ok]
    return f"{len(rows) - len(failed)} of {len(rows)} cases hold" + (f", {len(failed)} FAILED" if failed else "")
