#!/usr/bin/env python3
"""Conformance with upstream: stock ExecuTorch and coremltools judge diptych's files and its engine.

Run it with the Python of the reference environment (scripts/setup-reference.sh makes it); `make conformance`
does both. Prints a table and exits with 1 when a case does not hold. Upstream's exports take minutes and are
kept in the work directory.

  run.py                      everything (about half an hour the first time, on two cores)
  run.py --smoke              one file of each exporter, one run of upstream's script
  run.py --only multimethod   a part; --list names them
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from context import ROOT, Context
from report import HEADER, Row, cells, line, summary

PARTS = ["registration", "example", "runners", "matrix", "multimethod", "functions", "operators", "coreml_tests", "coremltools_tests",
         "families", "windows", "packages", "predictions", "self_description", "debugging", "opsets", "bad_input", "checkers",
         "tokenizers", "added_tokens", "templates", "serve", "worker", "pages", "sweep", "real"]
# Parts whose modules would hide the packages that they compare with.
MODULES = {"tokenizers": "text_tokenizers", "added_tokens": "text_added_tokens", "templates": "text_templates"}
SMOKE_PARTS = ["registration", "example", "runners", "matrix", "operators", "packages", "predictions", "self_description",
               "bad_input", "templates", "serve", "worker"]


def absolute(path):
    return Path(path).resolve()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    parser.add_argument("--build", type=absolute, default=ROOT / "build" / "release")
    parser.add_argument("--work", type=absolute, default=ROOT / "build" / "conformance")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("DIPTYCH_SHARED", ROOT / ".." / "shared")).resolve()
    )
    parser.add_argument("--rows", help=argparse.SUPPRESS)  # a part run as a process of its own: where rows go
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)  # upstream's exports: which half
    return parser.parse_args()


def run_part(part, context, path):
    """In a process of its own, so that nothing that happens there ends the suite."""
    with open(path, "w", buffering=1) as out:
        for row in importlib.import_module(MODULES.get(part, part)).rows(context):
            out.write(row.to_json() + "\n")


def prepare(context, half):
    import upstream

    for variant in upstream.variants()[half::2]:
        context.upstream_export(context.demo, variant)


def child(options, *more):
    """Starts this script for a part of the work; its chatter goes to a log."""
    command = [sys.executable, __file__, "--build", options.build, "--work", options.work, "--shared", options.shared]
    command += ["--smoke"] if options.smoke else []
    options.work.mkdir(parents=True, exist_ok=True)
    log = options.work / ("_".join(str(part).strip("-") for part in more[:2]) + ".log")
    environment = Context(options.build, options.work, options.shared, options.smoke).environment
    with open(log, "w") as out:
        return subprocess.Popen([*map(str, command), *map(str, more)], stdout=out, stderr=out, env=environment), log


def read_rows(path, position):
    with open(path) as file:
        file.seek(position)
        text = file.read()
    whole = text[: text.rfind("\n") + 1]
    return [Row.from_json(entry) for entry in whole.splitlines()], position + len(whole.encode())


def collect(options, part, show):
    """Runs a part and shows its rows as they come."""
    path = options.work / f"{part}.rows"
    options.work.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    process, log = child(options, "--only", part, "--rows", path)
    rows, position = [], 0
    while True:
        ended = process.poll() is not None
        new, position = read_rows(path, position)
        rows += new
        for row in new:
            show(row)
        if ended:
            break
        time.sleep(0.2)
    if process.returncode != 0:
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
        rows.append(Row(f"{part} ended early", False, note=f"{how}; see {log}"))
        show(rows[-1])
    return rows


def main():
    options = arguments()
    # Upstream's eager model, the reference, computes in fp32.
    os.environ.setdefault("DIPTYCH_NUMERICS", "precise")
    if options.list:
        print("\n".join(PARTS))
        return 0
    context = Context(options.build, options.work, options.shared, options.smoke)
    if options.prepare is not None:
        prepare(context, options.prepare)
        return 0
    if options.rows:
        run_part(options.only[0], context, options.rows)
        return 0
    parts = options.only or (SMOKE_PARTS if options.smoke else PARTS)
    if not options.smoke and "matrix" in parts:
        print("exporting with upstream's exporter what is not there yet", file=sys.stderr)
        workers = [child(options, "--prepare", half)[0] for half in (0, 1)]
        for worker in workers:
            worker.wait()
    width = 62
    print(line(HEADER, width), flush=True)
    rows = []
    for part in parts:
        rows += collect(options, part, lambda row: print(line(cells(row), width), flush=True))
    print(summary(rows))
    if options.json:
        Path(options.json).write_text(json.dumps([json.loads(row.to_json()) for row in rows], indent=1) + "\n")
    return 0 if rows and all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
