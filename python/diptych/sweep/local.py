"""Work on this machine: as much at a time as fits cores and memory."""

import os
import queue
import threading
from pathlib import Path
from typing import Any, Protocol

from diptych.sweep.work import Place, Result, Work

Outcome = tuple[Any, Result | None, BaseException | None]


class Runner(Protocol):
    """Where work runs. `name` is whatever the caller knows a piece of work by."""

    def takes(self, work: Work) -> bool:
        """Whether the work may be started now."""

    def start(self, name: Any, work: Work) -> None: ...

    def next(self) -> Outcome:
        """Waits for a piece of work to end; its result, or what it raised."""

    def stop(self) -> None:
        """Ends all work that is under way."""

    def discard(self, path: Path) -> None:
        """Removes an export that nothing needs any more."""


def available_memory() -> int:
    """Bytes that this process and its children may take."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                sizes.append(int(line.split()[1]) << 10)
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        sizes += [int(limit)] if limit.isdigit() else []
    except OSError:
        pass
    return min(sizes)


class LocalRunner:
    """A thread for each piece of work, which waits for the commands that it starts."""

    def __init__(self, place: Place, jobs: int | None = None, memory: int | None = None):
        self._place = place
        self._jobs = jobs or max(1, len(os.sched_getaffinity(0)) // place.threads)
        self._memory = memory or available_memory() * 9 // 10
        self._running: dict[int, Work] = {}
        self._ended: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._count = 0

    def takes(self, work: Work) -> bool:
        """What needs more memory than there is may still run, but by itself."""
        if not self._running:
            return True
        if work.alone or any(other.alone for other in self._running.values()):
            return False
        taken = sum(other.memory for other in self._running.values())
        return len(self._running) < self._jobs and taken + work.memory <= self._memory

    def start(self, name: Any, work: Work) -> None:
        self._count += 1
        self._running[self._count] = work
        threading.Thread(target=self._run, args=(self._count, name, work), daemon=True).start()

    def _run(self, number: int, name: Any, work: Work) -> None:
        try:
            outcome: Outcome = (name, work.run(self._place), None)
        except BaseException as error:
            outcome = (name, None, error)
        self._ended.put((number, outcome))

    def next(self) -> Outcome:
        number, outcome = self._ended.get()
        del self._running[number]
        return outcome

    def stop(self) -> None:
        self._place.tool.stop_all()

    def discard(self, path: Path) -> None:
        path.unlink(missing_ok=True)
