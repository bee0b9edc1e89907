"""Tasks of lm-eval as cells. lm-eval is optional (`pip install diptych[tasks]`) and runs in a process of its own."""

import importlib.metadata
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from diptych.sweep.errors import SweepError, some
from diptych.sweep.inputs import Files
from diptych.sweep.work import Export, OfOneExport, Place, Result


def version() -> str:
    """Of lm-eval, whose tasks differ from version to version. Raises SweepError where it is not installed."""
    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError as error:
        raise SweepError("tasks need lm-eval: pip install diptych[tasks]") from error


@lru_cache
def _manager(include: Path | None) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=None if include is None else str(include))


def problem(name: str, include: Path | None) -> str | None:
    """What is wrong with the name of a task or a group, or None."""
    version()
    names = _manager(include).all_tasks
    if name in names:
        return None
    like = get_close_matches(name, names)
    return f"there is no task {name!r}" + (f"; expected one such as {some(like)}" if like else "")


@dataclass(frozen=True)
class Task(OfOneExport):
    """A part of the documents of a task, or of each task of a group, scored by a server of the export."""

    export: Export
    name: str
    include: Files | None  # where tasks are described beside lm-eval's own
    limit: int | None
    fewshot: int | None
    numerics: str
    part: int  # from 0
    parts: int

    @property
    def memory(self) -> int:
        """With that of lm-eval and what it imports."""
        return super().memory + (768 << 20)

    def run(self, place: Place) -> Result:
        with tempfile.TemporaryDirectory() as directory:
            output = Path(directory, "result.json")
            order = {
                "model": place.exported(self.export), "task": self.name, "limit": self.limit, "fewshot": self.fewshot,
                "include": place.path(self.include) if self.include else None, "numerics": self.numerics,
                "part": self.part, "parts": self.parts, "tool": place.tool.path, "threads": place.threads,
                "output": str(output),
            }  # fmt: skip
            place.tool.call_python("diptych.sweep.task_part", json.dumps(order))
            result: Result = json.loads(output.read_text())
            return result

    def merged(self, parts: Sequence[Result]) -> Result:
        """The metrics of each task, and what lm-eval makes of them for the groups."""
        names = [name for name in parts[0]["tasks"]]
        scores = {name: _score_of([part["tasks"][name] for part in parts]) for name in names}
        if names == [self.name]:
            return scores[self.name]
        groups = {group["name"]: _score_of_group(group, scores) for group in parts[0]["groups"]}
        # A tag of lm-eval is a list of tasks that nothing is said of as a whole.
        whole = groups.pop(self.name, None) or _with_score(sum(score["documents"] for score in scores.values()), {})
        return {**whole, "tasks": {**groups, **scores}}


def _with_score(documents: int, metrics: dict[str, float]) -> Result:
    best = min(metrics, default=None)  # acc before acc_norm
    return {"documents": documents, "metrics": metrics, "score": best and metrics[best]}


def _score_of(parts: Sequence[Result]) -> Result:
    """A task's metrics, by its own means of aggregation, over the documents of all parts in order."""
    from lm_eval.api.registry import get_aggregation

    documents = [document for part in parts for document in part["documents"]]
    values: dict[str, list[object]] = {}
    for document in documents:
        for metric, value in document.items():
            values.setdefault(metric, []).append(tuple(value) if isinstance(value, list) else value)
    means: dict[str, str] = {metric: how for part in parts for metric, how in part["aggregation"].items()}
    metrics = {metric: float(get_aggregation(means[metric])(values[metric])) for metric in values}
    return _with_score(len(documents), metrics)


def _score_of_group(group: Result, scores: dict[str, Result]) -> Result:
    """A group's metrics: means over the tasks that have them, which lm-eval weighs by documents if the group says so."""
    from lm_eval.api.metrics import aggregate_subtask_metrics

    tasks = [scores[name] for name in group["tasks"]]
    metrics: dict[str, float] = {}
    for mean in group["means"]:
        keys = sorted({key for task in tasks for key in task["metrics"] if key.split(",")[0] == mean["metric"]})
        for key in keys:
            if mean["filters"] is None or key.split(",")[1] in mean["filters"]:
                those = [task for task in tasks if key in task["metrics"]]
                values, sizes = [task["metrics"][key] for task in those], [task["documents"] for task in those]
                metrics[key] = float(aggregate_subtask_metrics(values, sizes, mean["by_size"]))
    return _with_score(sum(task["documents"] for task in tasks), metrics)
