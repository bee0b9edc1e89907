"""coremltools' own tests of operations, in the installed package: they convert small programs, predict and compare
with NumPy or PyTorch; here diptych predicts (coremltools_plugin.py). Some cases of each test function are drawn
at random, others in each run; DIPTYCH_SEED repeats one, DIPTYCH_EACH says how many (2). Needs pytest, pillow and
mock. A log is kept in the work directory."""

import collections
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from report import Row

SUITE = ["converters/mil/mil/ops/tests/iOS14", "converters/mil/mil/ops/tests/iOS15", "converters/mil/mil/ops/tests/iOS16",
         "converters/mil/mil/ops/tests/iOS17", "converters/mil/mil/ops/tests/iOS18",
         "converters/mil/frontend/torch/test/test_torch_ops.py"]  # fmt: skip
ENVIRONMENT = {"PYMIL_TEST_TARGETS": "mlprogram", "INCLUDE_MIL_FP32_UNIT_TESTS": "1", "RUN_BACKWARD_COMPATIBILITY": "1"}
# What is refused by name: control flow, lists, states, shapes that are not fixed, other kinds of model.
SECOND_PART = re.compile(
    r"nested blocks|type list|state|not fixed|range of shapes|enumerated shapes|of kind \"|"
    r"operation '(non_zero|list_\w+|make_list|cond|while_loop)'"
)
LEAST = 0.99  # of the tests that predict, so many pass


def sort_of(test):
    """What a line of the log says of a test. Beyond fp16: with fp32's tolerance it wants of a result in fp16 what no
    fp16 number is near enough to, or what NumPy has rounded to fp16 on the way, and got it within fp16's."""
    if test["outcome"] in ("skipped", "xfailed"):
        return "skipped"
    if test["outcome"] == "passed":
        return "pass" if test["predicts"] else "no prediction"
    if SECOND_PART.search(test["refused"]):
        return "second part"
    if test["beyond"]:
        return "beyond fp16"
    return "fail" if test["loads"] else "not converted"


def run_tests(context, paths, seed):
    """The log's lines, by file, and pytest's status."""
    log = context.work / "coremltools_tests.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    options = {"log": str(log), "seed": seed, "each": int(os.environ.get("DIPTYCH_EACH", "2"))}
    environment = {**context.environment, **ENVIRONMENT, "DIPTYCH_COREMLTOOLS_TESTS": json.dumps(options)}
    environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent) + os.pathsep + os.environ.get("PYTHONPATH", "")
    command = [sys.executable, "-m", "pytest", "-p", "coremltools_plugin", "-c", os.devnull, "-q", "-W", "ignore",
               "-p", "no:cacheprovider", "--tb=line", "--show-capture=no", *map(str, paths)]  # fmt: skip
    with open(log.with_suffix(".txt"), "w") as chatter:
        done = subprocess.run(command, env=environment, cwd=log.parent, stdout=chatter, stderr=chatter)
    files = {}
    for line in log.read_text().splitlines():
        test = json.loads(line)
        path = Path(test["test"].split("::")[0])
        files.setdefault(f"{path.parent.name}/{path.stem}", []).append(test)
    return files, done.returncode


def rows(context):
    missing = [name for name in ("pytest", "PIL", "mock") if importlib.util.find_spec(name) is None]
    if missing:
        yield Row("coremltools' own tests", True, note=f"not run: no {', '.join(missing)}")
        return
    start, seed = time.time(), int(os.environ.get("DIPTYCH_SEED", time.time()))
    root = Path(importlib.util.find_spec("coremltools").origin).parent
    files, status = run_tests(context, [root / entry for entry in SUITE], seed)
    for name, tests in files.items():
        counts = collections.Counter(map(sort_of, tests))
        far = sum(bool(test["far"]) for test in tests if sort_of(test) == "pass")
        note = ", ".join(f"{count} {sort}" for sort, count in sorted(counts.items()))
        note += f", {far} far for fp16" if far else ""
        yield Row(name, counts["pass"] >= LEAST * (counts["pass"] + counts["fail"]), note=note)
    ended = status in (0, 1)  # pytest: all pass, some fail
    note = f"seed {seed}" + ("" if ended else f"; pytest's status {status}")
    yield Row("coremltools' own tests end", ended and bool(files), seconds=time.time() - start, note=note)
