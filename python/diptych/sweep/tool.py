"""The diptych command, called and cancelled."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diptych.__main__ import executable
from diptych.sweep.errors import SweepError, WorkerLost, WorkError


class Tool:
    """An installed diptych. Its calls may come from several threads, and be ended from another."""

    def __init__(self, path: str | None = None):
        found = path or executable()
        if found is None:
            raise SweepError("there is no diptych here; install its package, or set DIPTYCH_EXECUTABLE")
        if not os.access(found, os.X_OK):
            raise SweepError(f"{found}: expected diptych's program, found nothing that can be run; see DIPTYCH_EXECUTABLE")
        self.path = str(Path(found).resolve())
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def digest(self) -> str:
        """Of the program: results follow from it."""
        try:
            return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        except OSError as error:
            raise SweepError(f"{self.path}: {error.strerror}") from error

    def _start(self, command: Sequence[Any]) -> subprocess.Popen[str]:
        """A process group of its own, so that what interrupts the sweep does not reach it first."""
        pipe = subprocess.PIPE
        with self._lock:
            if self._ended:
                raise WorkerLost("cancelled")
            parts = [str(part) for part in command]
            process = subprocess.Popen(
                parts,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                text=True,
                errors="replace",
            )
            self._running.add(process)
        return process

    def _stop(self, process: subprocess.Popen[str]) -> None:
        """Ends what _start() gave, by the same means as Ctrl-C, or by force after some seconds."""
        try:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def _run(self, name: str, command: Sequence[Any], statuses: Sequence[int]) -> str:
        process = self._start(command)
        try:
            out, err = process.communicate()
        finally:
            self._stop(process)
        if process.returncode < 0:
            raise WorkerLost(f"{name}: signal {-process.returncode}")
        # A status may stand for a result, but not without one.
        if process.returncode not in statuses or (process.returncode != 0 and not out.strip()):
            said = [line for line in err.replace("\r", "\n").splitlines() if line.strip()]
            raise WorkError(said[-1] if said else f"{name}: status {process.returncode}")
        return str(out)

    def call(self, *arguments: Any, statuses: Sequence[int] = (0,)) -> str:
        """Stdout. Raises WorkError with what the command said if it ends with another status."""
        return self._run(f"diptych {arguments[0]}", [self.path, *arguments], statuses)

    def call_python(self, module: str, *arguments: str) -> str:
        """The same of a module of this package, run by this Python."""
        return self._run(module, [sys.executable, "-m", module, *arguments], (0,))

    def json(self, *arguments: Any, statuses: Sequence[int] = (0,)) -> Any:
        out = self.call(*arguments, "--json", statuses=statuses)
        try:
            return json.loads(out)
        except ValueError as error:
            raise WorkError(f"diptych {arguments[0]}: expected JSON, found {out[:40]!r}") from error

    def stop_all(self) -> None:
        """Ends all calls, and those to come."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for process in running:
            self._stop(process)

    def options(self, command: str) -> dict[str, bool]:
        """The options of a command by their long names, and whether they take values, as its help says."""
        found: dict[str, bool] = {}
        for line in self.call(command, "--help").splitlines():
            match = re.match(r"  (?:-\w, *)?--([a-z0-9_-]+)(?:,| |$)(.*)", line)
            if match:
                found[match[1]] = re.match(r" ?(TEXT|INT|UINT|FLOAT|\[)", match[2]) is not None
        return found


def flags(options: dict[str, Any]) -> list[str]:
    """Options as arguments: true is a flag, a list the option with each of its values; None and false are left out."""
    arguments: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(f"--{name}")
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                arguments += [f"--{name}", str(one)]
    return arguments
