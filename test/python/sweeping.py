"""What the tests of sweeps share: plans of the bundled model, and the command as a process."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
os.environ.setdefault("DIPTYCH_EXECUTABLE", str(ROOT / "build" / "release" / "bin" / "diptych"))
os.environ["PYTHONPATH"] = str(ROOT / "python")
sys.path.insert(0, str(ROOT / "python"))
if sys.version_info < (3, 11) and importlib.util.find_spec("tomli") is None:
    raise unittest.SkipTest("Python before 3.11 needs tomli: pip install tomli")

HEAD = f"""
[models.demo]
checkpoint = "{DEMO}/model.pth"
params = "{DEMO}/params.json"
max_context_len = 64
"""
RECIPES = """
[recipes.best]
recipe = "best"
[recipes.upstream]
recipe = "upstream"
multifunction = true
"""


def texts(shards=1, lines=12):
    """A table of a text; of its first lines."""
    return f"""
[texts.story]
file = "story.txt"
shards = {shards}
positions = {20 * lines}
"""


class Directory(unittest.TestCase):
    """A folder for plans and results, with a text in it."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.directory = Path(kept.name)
        held_out = (DEMO / "held_out.txt").read_text()
        (self.directory / "story.txt").write_text(held_out[:6000])

    def plan(self, *parts, name="plan.toml"):
        path = self.directory / name
        path.write_text("".join(parts))
        return path

    def start(self, plan, *options, **more):
        command = [sys.executable, "-m", "diptych.sweep", str(plan), *map(str, options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.terminate()
            process.communicate()

    def under_way(self, plan, *options, results=2):
        """A sweep that has logged so many more results, or has ended."""
        log = self.directory / plan.stem / "results.jsonl"

        def logged():
            return len(log.read_text().splitlines()) if log.exists() else 0

        before = logged()
        process = self.start(plan, *options)
        while process.poll() is None and logged() < before + results:
            time.sleep(0.01)
        return process

    def sweep(self, plan, *options, status=0, **more):
        """Stderr of a sweep that ends with a status."""
        process = self.start(plan, *options, **more)
        out, err = process.communicate()
        self.assertEqual(process.returncode, status, err)
        self.out = out
        return err

    def table(self, name="plan"):
        return json.loads((self.directory / name / "table.json").read_text())

    def log(self, name="plan"):
        return (self.directory / name / "results.jsonl").read_text().splitlines()

    def qualities(self, name="plan"):
        """The table without what is measured in seconds."""
        measured = ("load_seconds", "prompt_speed", "speed", "machine", "pareto")
        return [{key: value for key, value in row.items() if key not in measured} for row in self.table(name)]


def diptych(*arguments):
    done = subprocess.run(
        [os.environ["DIPTYCH_EXECUTABLE"], *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout
