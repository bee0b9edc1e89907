"""Sweeps on a Ray cluster of three nodes, of the bundled model and of 24 rows with SmolLM2, and with tasks of lm-eval: the
tests of test/python that need these packages. They are skipped with a notice where the packages are not installed
(`pip install ray lm_eval`), or SmolLM2 cannot be had."""

import re
import subprocess
import sys
import time

from context import ROOT
from real import load_quality
from report import Row

TESTS = {
    "sweep_ray_test.Rays": "sweeps on a Ray cluster",
    "sweep_ray_test.Models": "24 rows of two models, a node lost and one added",
    "sweep_tasks_test": "sweeps with tasks and groups of lm-eval",
}


def second_model():
    """SmolLM2 as scripts/quality.py fetches it, for the test of two models."""
    quality = load_quality()
    try:
        return {"DIPTYCH_SWEEP_GGUF": str(quality.fetch_model(ROOT / "build" / "quality"))}
    except quality.Failure:
        return {}


def rows(context):
    environment = {**context.environment, **second_model()}
    for test, case in TESTS.items():
        begin = time.time()
        done = subprocess.run([sys.executable, "-m", "unittest", "-v", test], cwd=ROOT / "test" / "python",
                              env=environment, capture_output=True, text=True)  # fmt: skip
        skipped = re.findall(r"skipped '(.*)'", done.stderr)
        note = f"skipped: {skipped[0]}" if skipped else ""
        if done.returncode != 0:
            note = done.stderr.strip()[-300:]
        yield Row(case, done.returncode == 0, seconds=time.time() - begin, note=note)
