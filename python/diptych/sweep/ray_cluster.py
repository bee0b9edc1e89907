"""Work on a Ray cluster: each piece is a task of Ray's, which places it, and begins it again where a node is lost.

Every node has this package and Ray. By default all of them see the sweep's files at the same paths. With `ship`, models
and texts go through Ray's object store, and each node makes the exports that it needs.
"""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import ray.exceptions

from diptych.sweep.cells import Cell
from diptych.sweep.errors import SweepError, WorkerLost
from diptych.sweep.inputs import Files
from diptych.sweep.local import Outcome
from diptych.sweep.tool import Tool
from diptych.sweep.work import Export, NamedFile, Place, Result, Work

# How often Ray begins a task again whose node or process is lost.
_RETRIES = 5

Contents = dict[str, Any]  # references to the bytes of files, by their paths


class ShippedPlace(Place):
    """A node that has only what is sent to it."""

    def __init__(self, tool: Tool, threads: int, contents: Contents):
        self._root = Path(
            os.environ.get("DIPTYCH_SWEEP_DIR") or Path(tempfile.gettempdir()) / f"diptych-sweep-{os.getuid()}"
        )
        super().__init__(tool, self._root / "exports", threads)
        self._contents = contents

    def path(self, files: Files) -> str:
        directory = self._root / "inputs" / files.digest
        if not directory.exists():
            self._root.joinpath("inputs").mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=self._root / "inputs"))
            for name in files.names:
                to = part / name
                to.parent.mkdir(parents=True, exist_ok=True)
                contents: Any = ray.get(self._contents[os.path.join(files.root, name)])
                to.write_bytes(contents)
            try:
                part.rename(directory)
            except OSError:  # another task was first
                shutil.rmtree(part)
        return str(directory / files.entry) if files.entry else str(directory)


@ray.remote(max_retries=_RETRIES)
def _perform(work: Work, program: str, exports: str, threads: int, contents: Contents | None) -> Result:
    tool = Tool()
    if tool.digest() != program:
        raise SweepError(
            f"{ray.util.get_node_ip_address()}: {tool.path} is not the diptych that the sweep was begun with"
        )
    place = Place(tool, Path(exports), threads) if contents is None else ShippedPlace(tool, threads, contents)
    return work.run(place)


@ray.remote(num_cpus=0)
def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _files_of(work: Any) -> list[Files]:
    """All that a piece of work reads, that of its exports included."""
    found: list[Files] = []
    for value in vars(work).values():
        if isinstance(value, Files):
            found.append(value)
        elif isinstance(value, Export):
            found += _files_of(value)
        elif isinstance(value, tuple):
            found += [one.files for one in value if isinstance(one, NamedFile)]
    return found


class RayRunner:
    """Gives Ray all work at once; a cluster that grows takes its part."""

    def __init__(self, address: str, place: Place, cells: Sequence[Cell], ship: bool):
        self._check_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise SweepError(f"--ray {address}: {str(error).splitlines()[0]}") from error
        self._place, self._program = place, place.tool.digest()
        self._names: dict[Any, Any] = {}
        self._contents: Contents | None = {} if ship else None
        self._check_memory(cells)
        if self._contents is not None:
            self._contents.update(self._put(cells))

    @staticmethod
    def _check_reachable(address: str) -> None:
        """Ray itself tries for minutes."""
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            return
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise SweepError(f"--ray {address}: no cluster there: {error.strerror or error}") from error

    @staticmethod
    def _largest(resource: str) -> float:
        """Of what a node of the cluster has."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return max((node.get(resource, 0.0) for node in nodes), default=0.0)

    def _check_memory(self, cells: Sequence[Cell]) -> None:
        largest = self._largest("memory")
        for cell in cells:
            for work in cell.works:
                if work.memory > largest:
                    raise SweepError(
                        f"{cell.title}: needs about {work.memory >> 20} MiB, the largest node has {int(largest) >> 20}"
                    )

    def _put(self, cells: Sequence[Cell]) -> Contents:
        paths = {os.path.join(files.root, name) for cell in cells for work in cell.works
                 for files in _files_of(work) for name in files.names}  # fmt: skip
        return {path: ray.put(Path(path).read_bytes()) for path in sorted(paths)}

    def takes(self, work: Work) -> bool:
        return True

    def start(self, name: Any, work: Work) -> None:
        # What measures time has a whole node, one of the largest.
        cpus = self._largest("CPU") if work.alone else self._place.threads
        task = _perform.options(num_cpus=cpus, memory=work.memory)
        reference = task.remote(work, self._program, str(self._place.exports), self._place.threads, self._contents)
        self._names[reference] = name

    def next(self) -> Outcome:
        done, _ = ray.wait(list(self._names), num_returns=1)
        name = self._names.pop(done[0])
        try:
            return name, ray.get(done[0]), None
        except ray.exceptions.RayTaskError as error:
            return name, None, error.cause if isinstance(error.cause, Exception) else error
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError,
                ray.exceptions.ObjectLostError) as error:  # fmt: skip
            return name, None, WorkerLost(str(error).splitlines()[0])
        except ray.exceptions.RayError as error:
            raise SweepError(f"the Ray cluster is lost: {str(error).splitlines()[0]}; run again to go on") from error

    def stop(self) -> None:
        running = list(self._names)
        with contextlib.suppress(ray.exceptions.RayError):
            for reference in running:
                ray.cancel(reference, force=False)
            if running:
                ray.wait(running, num_returns=len(running), timeout=15)
        ray.shutdown()

    def discard(self, path: Path) -> None:
        if self._contents is None:
            path.unlink(missing_ok=True)
