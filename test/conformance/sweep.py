"""Sweeps on a Ray cluster of three nodes, and with tasks of lm-eval: the tests of test/python that need these packages.
They are skipped with a notice where the packages are not installed (`pip install ray lm_eval`)."""

import re
import subprocess
import sys
import time

from context import ROOT
from report import Row

MODULES = {"sweep_ray_test": "sweeps on a Ray cluster", "sweep_tasks_test": "sweeps with tasks of lm-eval"}


def rows(context):
    for module, case in MODULES.items():
        begin = time.time()
        done = subprocess.run([sys.executable, "-m", "unittest", "-v", module], cwd=ROOT / "test" / "python",
                              env=context.environment, capture_output=True, text=True)  # fmt: skip
        skipped = re.findall(r"skipped '(.*)'", done.stderr)
        note = f"skipped: {skipped[0]}" if skipped else ""
        if done.returncode != 0:
            note = done.stderr.strip()[-300:]
        yield Row(case, done.returncode == 0, seconds=time.time() - begin, note=note)
