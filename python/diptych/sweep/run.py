"""Runs the cells that have no result yet, and writes down results as they come."""

from collections import Counter
from collections.abc import Callable

from diptych.sweep.cells import Cell
from diptych.sweep.errors import SweepError, WorkerLost, WorkError
from diptych.sweep.local import Runner
from diptych.sweep.results import Log
from diptych.sweep.work import Place, Work

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

    def run(self, runner: Runner, progress: Progress) -> None:
        """Returns when all cells have a result or a failure. Whatever ends it early ends the work under way."""
        try:
            self._run(runner, progress)
        except BaseException:
            runner.stop()
            raise

    def _run(self, runner: Runner, progress: Progress) -> None:
        waiting = sorted(self._works, key=lambda part: self._works[part].alone)
        making = {cell.key for i, cell in enumerate(self.cells) if (i, 0) in self._works and cell.kind == "export"}
        needed = Counter(export.key for work in self._works.values() for export in work.exports)
        tries: Counter[Part] = Counter()
        running = done = 0
        while waiting or running:
            for part in list(waiting):
                work = self._works[part]
                if not any(export.key in making for export in work.exports) and runner.takes(work):
                    waiting.remove(part)
                    runner.start(part, work)
                    running += 1
            part, result, error = runner.next()
            running -= 1
            cell, work = self.cells[part[0]], self._works[part]
            tries[part] += 1
            if isinstance(error, WorkerLost) and tries[part] < _TRIES:
                progress(f"{cell.title}: {error}; once more")
                waiting.append(part)
                continue
            done += 1
            count = f"[{done}/{self.todo}] {cell.title}"
            if len(cell.works) > 1:
                count += f", part {part[1] + 1} of {len(cell.works)}"
            if result is not None:
                self._log.add(
                    cell.part_key(part[1]), cell.title, result if len(cell.works) > 1 else cell.merge([result])
                )
                self._merge(cell)
                progress(count)
            elif isinstance(error, (WorkError, WorkerLost, OSError)):
                self.failures[cell.key] = str(error)
                progress(f"{count}: failed: {error}")
            else:
                raise error or SweepError(f"{cell.title}: no result")
            making.discard(cell.key)
            if cell.kind == "export" and cell.key in self.failures:
                done += self._give_up(cell, waiting)
            for export in work.exports:
                needed[export.key] -= 1
                if self._discard and needed[export.key] == 0:
                    runner.discard(self._place.export_path(export))

    def _give_up(self, export: Cell, waiting: list[Part]) -> int:
        """Of what reads an export that failed; how much that is."""
        lost = [part for part in waiting if any(read.key == export.key for read in self._works[part].exports)]
        for part in lost:
            waiting.remove(part)
            self.failures[self.cells[part[0]].key] = f"no {export.title}"
        return len(lost)

    def _merge(self, cell: Cell) -> None:
        """Writes the result of a cell whose parts all have one."""
        parts = [self._log.get(cell.part_key(k)) for k in range(len(cell.works))]
        whole = [part for part in parts if part is not None]
        if cell.key not in self._log and len(whole) == len(parts):
            self._log.add(cell.key, cell.title, cell.merge(whole))
