"""The log of a sweep's results: a line of JSON for each cell, or part of a cell, on disk before the next is begun.

    {"key": "…", "what": "text demo best held-out", "result": {…}}

The log outlives the process at any point. A last line that was cut off is removed when the log is opened again. One
sweep at a time has it open.
"""

import fcntl
import json
import os
from pathlib import Path

from diptych.sweep.errors import SweepError
from diptych.sweep.work import Result


class Log:
    """Opens, or makes, the log in a directory. Raises SweepError if another process has it, or if it is damaged."""

    def __init__(self, directory: Path):
        self.path = directory / "results.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", buffering=0)
        except OSError as error:
            raise SweepError(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SweepError(
                f"{directory}: another sweep has this directory; wait for it, or name another one"
            ) from error
        self._results = self._read()

    def __contains__(self, key: str) -> bool:
        return key in self._results

    def get(self, key: str) -> Result | None:
        return self._results.get(key)

    def add(self, key: str, what: str, result: Result) -> None:
        line = json.dumps({"key": key, "what": what, "result": result}, sort_keys=True).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            # What does not fit on the disk is cut, or refused.
            written = self._file.write(line)
            if written != len(line):
                raise OSError(0, "no space left on the device")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise SweepError(
                f"{self.path}: {error.strerror}; what is there stays, run again with more space"
            ) from error
        self._results[key] = result

    def close(self) -> None:
        self._file.close()

    def _read(self) -> dict[str, Result]:
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) != len(text):
            self._file.truncate(len(whole))
        results: dict[str, Result] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                results[str(entry["key"])] = dict(entry["result"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise SweepError(
                    f"{self.path}:{number}: expected a result, found {line[:40]!r}; remove the line"
                ) from error
        return results
