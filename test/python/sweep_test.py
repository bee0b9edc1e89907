"""Sweeps of the bundled model: results, shards, a second run, a killed run, two at once, damage."""

import json
import os
import signal
import time
import unittest
from unittest import mock

from sweeping import DEMO, HEAD, RECIPES, Directory, diptych, texts

from diptych.sweep import results
from diptych.sweep.cells import text_result
from diptych.sweep.errors import SweepError
from diptych.sweep.inputs import Digests
from diptych.sweep.page import page
from diptych.sweep.table import rows_of

QUICK = "[measure]\nverify = false\n"


class Sweeps(Directory):
    def test_results_are_those_of_the_commands(self):
        plan = self.plan(HEAD, RECIPES, texts(), "[measure]\nspeed = true\nprompt = 8\ngenerate = 8\n")
        self.sweep(plan)
        rows = self.table()
        self.assertEqual([row["recipe"] for row in rows], ["best", "upstream"])
        exports = self.directory / "plan" / "exports"
        for row, options in zip(rows, (["--recipe", "best"], ["--recipe", "upstream", "--multifunction"])):
            path = self.directory / "model.pte"
            diptych("export", DEMO / "model.pth", *options, "--max_context_len", 64, "-o", path, "--no_check")
            self.assertEqual(row["bytes"], path.stat().st_size)
            self.assertIn(path.read_bytes(), [export.read_bytes() for export in exports.iterdir()])
            found = json.loads(diptych("eval", path, "--text", self.directory / "story.txt", "--max_positions", 240,
                                       "--numerics", "precise", "--json"))  # fmt: skip
            self.assertEqual(row["nll"], found["nll"])
            self.assertEqual(row["positions"], 240)
            self.assertGreater(row["kl"], 0)
            self.assertGreater(row["top1"], 0.5)
            self.assertTrue(row["verified"])
            self.assertGreater(row["speed"], 0)
        self.assertTrue(any(row["pareto"] for row in rows))
        self.assertIn("| demo  | best     |", self.out)
        html = (self.directory / "plan" / "index.html").read_text()
        self.assertNotRegex(html, r"https?://|src=|@import|url\(")
        self.assertEqual(html.count("<circle"), 2)
        self.assertIn("0 pieces of work to do", self.sweep(plan))
        self.assertEqual(self.table(), rows)

    def test_a_text_in_shards(self):
        recipe = "[recipes.best]\nrecipe = 'best'\n"
        figures = []
        for shards in (1, 3, 16):
            plan = self.plan(HEAD, recipe, texts(shards), QUICK, name=f"plan{shards}.toml")
            self.sweep(plan)
            figures.append(self.qualities(f"plan{shards}"))
            self.sweep(self.plan(HEAD, recipe, texts(2), QUICK, name=f"plan{shards}.toml"))
            self.assertEqual(self.qualities(f"plan{shards}"), figures[-1])
        self.assertEqual(figures[0], figures[1])
        self.assertEqual(figures[0], figures[2])

    def test_what_is_new_is_computed(self):
        self.sweep(self.plan(HEAD, RECIPES, texts(), QUICK))
        first = self.log()
        self.assertIn(" 2 pieces of work", self.sweep(self.plan(HEAD, RECIPES, texts(lines=6), QUICK)))
        self.assertEqual(self.log()[: len(first)], first)
        (self.directory / "story.txt").write_text("Once upon a time there was another text.\n" * 40)
        self.assertIn(" 2 pieces of work", self.sweep(self.plan(HEAD, RECIPES, texts(lines=6), QUICK)))

    def test_killed_and_resumed(self):
        whole = self.plan(HEAD, RECIPES, texts(6), name="whole.toml")
        self.sweep(whole)
        plan = self.plan(HEAD, RECIPES, texts(6))
        for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            process = self.under_way(plan)
            process.send_signal(kill)
            _, err = process.communicate()
            if kill == signal.SIGTERM and process.returncode != 0:
                self.assertEqual(process.returncode, 130, err)
                self.assertIn("interrupted; run again to go on", err)
        with open(self.directory / "plan" / "results.jsonl", "a") as file:
            file.write('{"key": "cut of')
        self.sweep(plan)
        self.assertEqual(self.qualities(), self.qualities("whole"))
        keys = [json.loads(line)["key"] for line in self.log()]
        self.assertEqual(len(keys), len(set(keys)))

    def test_two_at_once(self):
        plan = self.plan(HEAD, RECIPES, texts())
        first = self.start(plan)
        while first.poll() is None and not (self.directory / "plan" / "exports").exists():
            time.sleep(0.01)
        self.assertIn("another sweep has this directory", self.sweep(plan, status=2))
        _, err = first.communicate()
        self.assertEqual(first.returncode, 0, err)

    def test_a_cell_that_fails_leaves_the_others(self):
        (self.directory / "hard.txt").write_text("A text that the program fails at.")
        failing = self.directory / "diptych"
        failing.write_text(
            '#!/bin/sh\nfor word; do case $word in */hard.txt) echo "diptych eval: too hard" >&2; exit 1 ;; esac; done\n'
            f'exec "{os.environ["DIPTYCH_EXECUTABLE"]}" "$@"\n'
        )
        failing.chmod(0o755)
        environment = {**os.environ, "DIPTYCH_EXECUTABLE": str(failing)}
        plan = self.plan(HEAD, RECIPES, texts(), "[texts.hard]\nfile = 'hard.txt'\n", QUICK)
        err = self.sweep(plan, status=1, env=environment)
        self.assertIn("text demo best hard: failed: diptych eval:", err)
        self.assertIn("2 cells failed", err)
        rows = self.table()
        self.assertEqual([row.get("perplexity", 0) > 1 for row in rows], [True, False, True, False])
        self.assertIn("too hard", rows[1]["note"])
        self.assertIn(" 2 pieces of work", self.sweep(plan, status=1, env=environment))

    def test_discarded_exports_are_made_again(self):
        self.sweep(self.plan(HEAD, RECIPES, texts(), QUICK), "--discard")
        self.assertEqual(list((self.directory / "plan" / "exports").iterdir()), [])
        self.sweep(self.plan(HEAD, RECIPES, texts(), texts(lines=6).replace("story]", "short]"), QUICK))
        self.assertEqual(len(self.table()), 4)

    def test_a_dry_run_computes_nothing(self):
        self.sweep(self.plan(HEAD, RECIPES, texts()), "--dry-run")
        self.assertIn("to do  verify demo upstream\n", self.out)
        self.assertEqual(self.log(), [])


class Logs(Directory):
    def test_a_damaged_line_is_named(self):
        log = results.Log(self.directory)
        log.add("a", "text", {"x": 1.5})
        log.close()
        for line in (b"nonsense\n", b"{}\n", b'{"key": "b", "result": 3}\n', b"\xff\xff\n", b"[" * 100000 + b"\n"):
            with self.subTest(line[:20]):
                log.path.write_bytes(b'{"key": "a", "result": {"x": 1.5}}\n' + line)
                with self.assertRaisesRegex(SweepError, "results.jsonl:2: expected a result, found"):
                    results.Log(self.directory)

    def test_a_full_disk_leaves_whole_lines(self):
        log = results.Log(self.directory)
        log.add("a", "text", {"x": 1})
        whole = log.path.read_bytes()
        with mock.patch.object(log, "_file", wraps=log._file) as file:
            file.write.side_effect = lambda data: log.path.open("ab", 0).write(data[:10])
            with self.assertRaisesRegex(SweepError, "no space left"):
                log.add("b", "text", {"x": 2})
        self.assertEqual(log.path.read_bytes(), whole)


class Inputs(Directory):
    def test_digests_follow_from_names_and_contents(self):
        model = self.directory / "model"
        (model / ".git").mkdir(parents=True)
        (model / "weights.safetensors").write_text("weights")
        digests = Digests(self.directory / "digests.json")
        first = digests.files(model)
        (model / ".git" / "index").write_text("hidden")
        self.assertEqual(digests.files(model), first)
        (model / "config.json").write_text("{}")
        second = digests.files(model)
        self.assertNotEqual(second.digest, first.digest)
        copy = self.directory / "copy"
        model.rename(copy)
        self.assertEqual(digests.files(copy).key, second.key)
        (copy / "config.json").write_text("{ }")
        self.assertNotEqual(digests.files(copy).key, second.key)

    def test_digests_are_kept(self):
        path = self.directory / "story.txt"
        digests = Digests(self.directory / "digests.json")
        wanted = digests.file(path)
        digests.save()
        with mock.patch("hashlib.sha256", side_effect=AssertionError("computed again")):
            self.assertEqual(Digests(self.directory / "digests.json").file(path), wanted)
        for damage in ("", "[]", '{"x": 3}', "nonsense"):
            (self.directory / "digests.json").write_text(damage)
            self.assertEqual(Digests(self.directory / "digests.json").file(path), wanted)


class Pages(unittest.TestCase):
    def test_names_are_escaped(self):
        row = {"model": "<script>", "recipe": "&", "shape": "", "on": "t", "bytes": 1, "kl": 0.5, "pareto": True}
        html = page("<b>", [row])
        self.assertNotIn("<b>", html)
        self.assertNotIn(">&<", html)
        self.assertEqual(html.count("<script>"), 1)

    def test_no_rows(self):
        self.assertEqual(rows_of([], None, {}), [])
        self.assertIn("<table>", page("none", []))

    def test_sums_in_order(self):
        windows = [{"positions": 1, "nll": value} for value in (1e16, 1.0, -1e16, 1.0)]
        self.assertEqual(text_result([{"windows": windows}])["nll"], 0.25)
        self.assertEqual(text_result([{"windows": windows[:1]}, {"windows": windows[1:]}])["nll"], 0.25)


if __name__ == "__main__":
    unittest.main()
