"""diptych-sweep: exports a grid of models, recipes and shapes, and says which are worth having."""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from diptych.sweep.cells import Cell, Planner
from diptych.sweep.errors import SweepError
from diptych.sweep.inputs import Digests
from diptych.sweep.local import LocalRunner, Runner
from diptych.sweep.page import page
from diptych.sweep.plan import read_plan
from diptych.sweep.results import Log
from diptych.sweep.run import Sweep
from diptych.sweep.table import as_json, markdown, rows_of
from diptych.sweep.tool import Tool
from diptych.sweep.work import Place


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="diptych-sweep",
        description="Exports, verifies and evaluates what a plan names. A second run computes what is new or failed.",
    )
    parser.add_argument("plan", type=Path, help="the plan, a TOML file")
    parser.add_argument(
        "-o", "--output", type=Path, help="directory of results (default: the plan's name without .toml)"
    )
    parser.add_argument("--jobs", type=_positive, help="pieces of work at a time (default: one a CPU)")
    parser.add_argument("--threads", type=_positive, default=1, help="threads of each (default: 1)")
    parser.add_argument(
        "--memory", type=_positive, metavar="MIB", help="for all of them (default: 90 %% of what is free)"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="run on this Ray cluster; auto: the one of this machine")
    parser.add_argument(
        "--ship",
        action="store_true",
        help="with --ray: send models and texts to nodes that do not share this machine's files",
    )
    parser.add_argument("--discard", action="store_true", help="remove each export when nothing needs it any more")
    parser.add_argument("--dry-run", action="store_true", help="check the plan and list what would be computed")
    return parser.parse_args(given)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return value


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _runner(options: argparse.Namespace, place: Place, cells: list[Cell]) -> Runner:
    if not options.ray:
        return LocalRunner(place, options.jobs, options.memory and options.memory << 20)
    from diptych.sweep.ray_cluster import RayRunner

    return RayRunner(options.ray, place, cells, options.ship)


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise SweepError(f"{path}: {error.strerror}") from error


def _sweep(options: argparse.Namespace) -> int:
    tool = Tool()
    plan = read_plan(options.plan, tool.options("export"))
    directory = options.output or options.plan.with_suffix("")
    log = Log(directory)
    digests = Digests(directory / "digests.json")
    place = Place(tool, (directory / "exports").absolute(), options.threads)
    cells = Planner(plan, tool, digests, place).cells()
    digests.save()
    sweep = Sweep(cells, log, place, options.discard)
    _tell(f"{len(cells)} cells, {sweep.todo} pieces of work to do")
    if options.dry_run:
        for cell in cells:
            print(f"{'done' if cell.key in log else 'to do'}  {cell.title}")
        return 0
    begin = time.monotonic()
    try:
        if sweep.todo:
            sweep.run(_runner(options, place, cells), _tell)
    finally:
        rows = rows_of(cells, log, sweep.failures)
        _write(directory / "table.json", as_json(rows))
        _write(directory / "table.md", markdown(rows))
        _write(directory / "index.html", page(options.plan.stem, rows))
    print(markdown(rows), end="")
    _tell(f"{time.monotonic() - begin:.1f} s; {directory / 'index.html'}")
    if sweep.failures:
        _tell(f"diptych-sweep: {len(sweep.failures)} cells failed; run again to try them again")
    return 1 if sweep.failures else 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(given: list[str] | None = None) -> int:
    options = _arguments(given)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _sweep(options)
    except SweepError as error:
        _tell(f"diptych-sweep: {error}")
        return 2
    except KeyboardInterrupt:
        _tell("diptych-sweep: interrupted; run again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main())
