"""Runs the cells that have no result yet, and writes down results as they come."""

from collections import Counter
from collections.abc import Callable, Iterator

from diptych.sweep.cells import Cell
from diptych.sweep.errors import SweepError, WorkerLost, WorkError
from diptych.sweep.local import Runner
from diptych.sweep.results import Log
from diptych.sweep.work import Place, Result, Work

# How often work is begun whose worker is lost.
_TRIES = 3

Part = tuple[int, int]  # cell and part of it
Progress = Callable[[str], None]


class Sweep:
    """The cells of a plan, their results in a log, and what is left to do."""

    def __init__(self, cells: list[Cell], log: Log, place: Place, discard: bool = False):
        self.cells, self._log, self._place, self._discard = cells, log, place, discard
        self.failures: dict[str, str] = {}  # by the cells' keys
        self._works: dict[Part, Work] = {}
        for cell in cells:
            self._merge(cell)
        planned = set()
        for i, cell in enumerate(cells):
            for k, work in enumerate(cell.works):
                key = cell.part_key(k)
                if cell.key in log or key in log or key in planned:
                    continue
                planned.add(key)
                self._works[i, k] = work
        self.todo = len(self._works)
        # What measures time comes last: nothing runs beside it.
        self._waiting = sorted(self._works, key=lambda part: self._works[part].alone)
        # Exports that are still to be made, and how much work reads each.
        self._making = {cell.key for i, cell in enumerate(cells) if (i, 0) in self._works and cell.kind == "export"}
        self._readers = Counter(export.key for work in self._works.values() for export in work.exports)
        self._tries: Counter[Part] = Counter()
        self._done = 0

    def run(self, runner: Runner, progress: Progress) -> None:
        """Returns when all cells have a result or a failure. Whatever ends it early ends the work under way."""
        running = 0
        try:
            while self._waiting or running:
                for part in self._ready(runner):
                    runner.start(part, self._works[part])
                    running += 1
                part, result, error = runner.next()
                running -= 1
                self._tries[part] += 1
                if isinstance(error, WorkerLost) and self._tries[part] < _TRIES:
                    progress(f"{self.cells[part[0]].title}: {error}; once more")
                    self._waiting.append(part)
                    continue
                self._done += 1
                progress(f"[{self._done}/{self.todo}] {self._title(part)}" + self._ended(part, result, error))
                self._let_go(part, runner)
        except BaseException:
            runner.stop()
            raise

    def _ready(self, runner: Runner) -> Iterator[Part]:
        """What may start now; it is no longer waiting."""
        for part in list(self._waiting):
            work = self._works[part]
            if not any(export.key in self._making for export in work.exports) and runner.takes(work):
                self._waiting.remove(part)
                yield part

    def _title(self, part: Part) -> str:
        cell = self.cells[part[0]]
        return cell.title + (f", part {part[1] + 1} of {len(cell.works)}" if len(cell.works) > 1 else "")

    def _ended(self, part: Part, result: Result | None, error: BaseException | None) -> str:
        """Notes a result or a failure; what there is to say of it. Raises what is neither."""
        cell = self.cells[part[0]]
        if result is not None:
            own = cell.merge([result]) if len(cell.works) == 1 else result
            self._log.add(cell.part_key(part[1]), cell.title, own)
            self._merge(cell)
            return ""
        if not isinstance(error, (WorkError, WorkerLost, OSError)):
            raise error or SweepError(f"{cell.title}: no result")
        self.failures[cell.key] = str(error)
        return f": failed: {error}"

    def _let_go(self, part: Part, runner: Runner) -> None:
        """What waited for a piece of work goes on, or is given up; what nothing reads any more is removed."""
        cell, work = self.cells[part[0]], self._works[part]
        if cell.kind == "export":
            self._making.discard(cell.key)
            if cell.key in self.failures:
                self._give_up(cell)
        for export in work.exports:
            self._readers[export.key] -= 1
            if self._discard and self._readers[export.key] == 0:
                runner.discard(self._place.export_path(export))

    def _give_up(self, export: Cell) -> None:
        for part in list(self._waiting):
            if any(read.key == export.key for read in self._works[part].exports):
                self._waiting.remove(part)
                self._done += 1
                self.failures[self.cells[part[0]].key] = f"no {export.title}"

    def _merge(self, cell: Cell) -> None:
        """Writes the result of a cell whose parts all have one."""
        parts = [self._log.get(cell.part_key(k)) for k in range(len(cell.works))]
        whole = [part for part in parts if part is not None]
        if cell.key not in self._log and len(whole) == len(parts):
            self._log.add(cell.key, cell.title, cell.merge(whole))
