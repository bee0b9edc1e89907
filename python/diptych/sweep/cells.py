"""A plan as cells: each an export, a verification, a measurement of speed, or an evaluation on a text or a task, under
a key of all that its result follows from."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from diptych.sweep import tasks
from diptych.sweep.errors import WorkError
from diptych.sweep.inputs import Digests
from diptych.sweep.plan import FILE_OPTIONS, Entry, Options, Plan, reference_of
from diptych.sweep.tool import Tool, flags
from diptych.sweep.work import Argument, Export, Forecast, NamedFile, Place, Result, Speed, Text, Verify, Work

Merge = Callable[[Sequence[Result]], Result]


@dataclass(frozen=True)
class Cell:
    """One result of a sweep, and the parts of the work that give it."""

    key: str
    kind: str  # "export", "verify", "speed", "text" or "task"
    row: tuple[str, str, str]  # model, recipe, shape; "" where there are no shapes; references have no recipe
    name: str  # of the text or the task
    works: tuple[Work, ...]
    merge: Merge

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.kind, *self.row, self.name) if part)

    def part_key(self, part: int) -> str:
        """Of what one of several parts gives; of a single one it is the cell's."""
        return self.key if len(self.works) == 1 else key_of(self.key, part, len(self.works))


def key_of(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def only(results: Sequence[Result]) -> Result:
    """The merge of cells of one part."""
    return results[0]


def _exp(value: float) -> float:
    """What a double can hold of it, for models that exclude what comes."""
    return math.exp(min(value, 700.0))


def text_result(parts: Sequence[Result]) -> Result:
    """The figures of a text from its windows, added up in order: the bits do not depend on how it was cut."""
    windows = [window for part in parts for window in part["windows"]]

    def total(name: str) -> float:
        value = 0.0
        for window in windows:  # Python's sum() rounds in another way
            value += window[name]
        return value

    positions = sum(window["positions"] for window in windows)
    nll = total("nll") / positions
    result: Result = {"positions": positions, "nll": nll, "perplexity": _exp(nll)}
    if "kl" in windows[0]:
        result["against_perplexity"] = _exp(total("against_nll") / positions)
        result["kl"] = total("kl") / positions
        result["kl_max"] = max(window["kl_max"] for window in windows)
        result["top1"] = sum(window["top1"] for window in windows) / positions
    return result


class Planner:
    """Makes the cells of a plan. Forecasts every export, so what cannot be exported is refused here."""

    def __init__(self, plan: Plan, tool: Tool, digests: Digests, place: Place):
        self._plan, self._tool, self._digests, self._place = plan, tool, digests, place
        self._program = tool.digest()
        self._exports: dict[str, Export] = {}

    def cells(self) -> list[Cell]:
        found: dict[str, Cell] = {}
        for cell in self._all():
            found.setdefault(key_of(cell.key, *cell.row, cell.name), cell)
        return list(found.values())

    def _all(self) -> Iterator[Cell]:
        shapes: tuple[Entry, ...] = self._plan["shapes"] or (Entry("shapes", "", {}),)
        for model in self._plan["models"]:
            for recipe in self._plan["recipes"]:
                for shape in shapes:
                    if recipe.fits(model.name) and shape.fits(model.name):
                        yield from self._of_export(model, recipe, shape)

    def _of_export(self, model: Entry, recipe: Entry, shape: Entry) -> Iterator[Cell]:
        measure = self._plan.measure
        export = self._export(model, recipe, shape)
        row = (model.name, recipe.name, shape.name)
        yield Cell(export.key, "export", row, "", (export,), only)
        if measure.get("verify", True):
            yield Cell(key_of("verify", export.key), "verify", row, "", (Verify(export),), only)
        reference = self._reference(model, shape) if self._plan["texts"] else None
        if reference is not None:
            # It has no row of its own, unless it is a recipe's too.
            yield Cell(reference.key, "export", (model.name, "", shape.name), "reference", (reference,), only)
        for text in self._plan["texts"]:
            if text.fits(model.name):
                yield self._text(row, export, reference, text)
        for task in self._plan["tasks"]:
            if task.fits(model.name):
                yield self._task(row, export, task)
        if measure.get("speed", False):
            lengths = measure.get("prompt", 128), measure.get("generate", 64), measure.get("depth", 0)
            yield Cell(key_of("speed", export.key, lengths), "speed", row, "", (Speed(export, *lengths),), only)

    def _reference(self, model: Entry, shape: Entry) -> Export | None:
        options = reference_of(self._plan)
        return None if options is None else self._export(model, Entry("recipes", "", {}, options), shape)

    def _export(self, model: Entry, recipe: Entry, shape: Entry) -> Export:
        options = self._plan.combined(model, shape, recipe)
        files = self._digests.files(model.values["checkpoint"])
        params = self._digests.files(model.values["params"]) if "params" in model.values else None
        arguments = self._arguments(options)
        told = [a if isinstance(a, str) else [a.prefix, a.files.key] for a in arguments]
        key = key_of("export", self._program, files.key, params and params.key, told)
        if key not in self._exports:
            draft = Export(key, files, params, arguments, Forecast(0, 0, 0, 0))
            self._exports[key] = Export(key, files, params, arguments, self._forecast(draft, model, recipe))
        return self._exports[key]

    def _arguments(self, options: Options) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        for name in sorted(options):
            given = flags({name: options[name]})
            if name not in FILE_OPTIONS:
                arguments += given
                continue
            for value in given[1::2]:
                before, equals, path = value.rpartition("=")
                files = self._digests.files(self._plan.path.parent / path)
                arguments += [given[0], NamedFile(before + equals, files)]
        return tuple(arguments)

    def _forecast(self, export: Export, model: Entry, recipe: Entry) -> Forecast:
        try:
            told = self._tool.json("export", *export.source(self._place), *export.options(self._place), "--dry_run")
        except WorkError as error:
            at = ("recipes", recipe.name) if recipe.name else ("models", model.name)
            what = f"recipe {recipe.name!r}" if recipe.name else "the reference"
            raise self._plan.wrong(f"{what} of model {model.name!r}: {error}", *at) from error
        return Forecast(told["file_bytes"], told["peak_memory_bytes"], told["cache_bytes"], told["max_context_len"])

    def _text(self, row: tuple[str, str, str], export: Export, reference: Export | None, text: Entry) -> Cell:
        most = export.forecast.context
        if text.get("context", 0) > most:
            what = f"context: expected at most {most}, the context of {' '.join(row).strip()}"
            raise self._plan.wrong(what, "texts", text.name, "context")
        numerics = self._plan.measure.get("numerics", "precise")
        options = tuple(
            flags({"numerics": numerics, "max_positions": text.get("positions"), "context": text.get("context")})
        )
        files = self._digests.files(text.values["file"])
        shards = text.get("shards", 1)
        works = tuple(Text(export, reference, files, options, f"{part + 1}/{shards}") for part in range(shards))
        key = key_of("text", export.key, reference and reference.key, files.digest, options)
        return Cell(key, "text", row, text.name, works, text_result)

    def _task(self, row: tuple[str, str, str], export: Export, task: Entry) -> Cell:
        include = self._digests.files(task.values["include"]) if "include" in task.values else None
        shards = task.get("shards", 1)
        name, numerics = task.get("task", task.name), self._plan.measure.get("numerics", "precise")
        problem = tasks.problem(name, task.get("include"))
        if problem:
            raise self._plan.wrong(problem, "tasks", task.name, "task")
        works = tuple(
            tasks.Task(export, name, include, task.get("limit"), task.get("fewshot"), numerics, part, shards)
            for part in range(shards)
        )
        numbers = [task.get("limit"), task.get("fewshot")]
        key = key_of("tasks", export.key, name, include and include.digest, numbers, numerics, tasks.version())
        return Cell(key, "task", row, task.name, works, works[0].merged)
