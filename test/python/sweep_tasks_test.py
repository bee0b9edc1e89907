"""Tasks of lm-eval in a sweep: a task in parts has the scores of the whole, which are those of lm-eval itself. Skipped
where lm-eval is not installed."""

import importlib.util
import json
import os
import unittest

from sweeping import DEMO, HEAD, Directory, diptych

CHOICES = """
task: stories
dataset_path: json
dataset_kwargs: {data_files: {test: DOCUMENTS}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{start}}"
doc_to_choice: "{{ends}}"
doc_to_target: "{{right}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
ROLLING = """
task: rolling
dataset_path: json
dataset_kwargs: {data_files: {test: DOCUMENTS}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity}
"""
# Of tasks of unlike sizes, so that it matters by what they are weighed.
GROUP = """
group: both
task: [stories, endings]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
  - {metric: acc_norm, weight_by_size: false, filter_list: none}
"""
RECIPE = "[recipes.best]\nrecipe = 'best'\n"
QUICK = "[measure]\nverify = false\nreference = false\n"


@unittest.skipUnless(importlib.util.find_spec("lm_eval"), "lm-eval is not installed: pip install lm_eval")
class Tasks(Directory):
    def setUp(self):
        super().setUp()
        self.tasks = self.directory / "tasks"
        self.tasks.mkdir()
        stories = [line for line in (self.directory / "story.txt").read_text().split(". ") if len(line) > 40][:7]
        documents = [
            {"start": story[:25], "ends": [story[25:], story[25:][::-1]], "right": 0, "text": story}
            for story in stories
        ]
        endings = CHOICES.replace("task: stories", "task: endings\ntag: tagged").replace('"{{right}}"', '"{{1 - right}}"')
        described = {"stories": CHOICES, "rolling": ROLLING, "endings": endings, "both": GROUP}
        for name, text in described.items():
            some = documents[:3] if name == "endings" else documents
            data = self.tasks / f"{name}.jsonl"
            data.write_text("".join(json.dumps(document) + "\n" for document in some))
            (self.tasks / f"{name}.yaml").write_text(text.replace("DOCUMENTS", str(data)))
        os.environ["HF_HOME"] = str(self.directory / "hub")

    def task(self, name, shards):
        return f"[tasks.{name}]\ninclude = 'tasks'\nshards = {shards}\n"

    def alone(self, name):
        """By lm-eval, the task as a whole."""
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        from diptych.sweep.task_part import Model, Server

        path = self.directory / "model.pte"
        diptych("export", DEMO / "model.pth", "--recipe", "best", "--max_context_len", 64, "-o", path, "--no_check")
        server = Server(os.environ["DIPTYCH_EXECUTABLE"], str(path), "precise", 1)
        try:
            found = simple_evaluate(Model(server), tasks=[name], task_manager=TaskManager(include_path=str(self.tasks)),
                                    bootstrap_iters=0)  # fmt: skip
        finally:
            server.close()
        return {**found["results"], **found.get("groups", {})}

    def test_parts_have_the_scores_of_the_whole(self):
        rows = []
        for shards in (1, 3):
            tasks = [self.task(name, shards) for name in ("stories", "rolling")]
            self.sweep(self.plan(HEAD, RECIPE, *tasks, QUICK, name=f"plan{shards}.toml"))
            rows.append(self.qualities(f"plan{shards}"))
        self.assertEqual(rows[0], rows[1])
        for row in rows[0]:
            whole = self.alone(row["on"])[row["on"]]
            self.assertEqual(row["documents"], 7)
            for metric, value in row["metrics"].items():
                self.assertEqual(value, whole[metric], metric)
        self.assertEqual(rows[0][0]["score"], rows[0][0]["metrics"]["acc,none"])

    def test_a_group_has_what_lm_eval_makes_of_it(self):
        tables = []
        for shards in (1, 4):
            self.sweep(self.plan(HEAD, RECIPE, self.task("both", shards), QUICK, name=f"plan{shards}.toml"))
            tables.append(self.qualities(f"plan{shards}"))
        self.assertEqual(tables[0], tables[1])
        whole = self.alone("both")
        rows = {row["on"].removeprefix("both: "): row for row in tables[0]}
        self.assertEqual(list(rows), ["both", "stories", "endings"])
        self.assertEqual([row["documents"] for row in rows.values()], [10, 7, 3])
        for name, row in rows.items():
            self.assertEqual(set(row["metrics"]), {"acc,none", "acc_norm,none"})
            for metric, value in row["metrics"].items():
                self.assertEqual(value, whole[name][metric], (name, metric))
        self.assertEqual(rows["both"]["score"], rows["both"]["metrics"]["acc,none"])
        self.assertNotEqual(rows["stories"]["score"], rows["endings"]["score"])

    def test_a_tag_is_a_list_of_tasks(self):
        self.sweep(self.plan(HEAD, RECIPE, self.task("tagged", 1), QUICK))
        whole, task = self.qualities()
        self.assertEqual((whole["on"], whole["score"], whole["documents"]), ("tagged", None, 3))
        self.assertEqual((task["on"], task["documents"]), ("tagged: endings", 3))

    def test_a_task_that_is_not_known(self):
        plan = self.plan(HEAD, RECIPE, "[tasks.storys]\ninclude = 'tasks'\n")
        self.assertIn(
            "plan.toml:8: there is no task 'storys'; expected one such as stories", self.sweep(plan, status=2)
        )


if __name__ == "__main__":
    unittest.main()
