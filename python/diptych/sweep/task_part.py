"""Scores a part of an lm-eval task, or of each task of a group, with `diptych serve`; a process of its own, which tasks.py starts with its order.

Log-likelihoods are the served model's, one request at a time, so they do not depend on how a task is cut.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lm_eval import evaluator
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import AGGREGATION_REGISTRY
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window


class Server:
    """`diptych serve` on a free port."""

    def __init__(self, tool: str, model: str, numerics: str, threads: int):
        self._process = subprocess.Popen(
            [tool, "serve", model, "--port", "0", "--slots", "1", "--numerics", numerics, "--threads", str(threads)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = ""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said = line.strip() or said
            if "listening on" in line:
                self.url = line.split()[-1]
                break
        else:
            raise SystemExit(said)

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=3600) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"serve: {error.read().decode(errors='replace')[:300]}") from error

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)


class Model(TemplateLM):
    """What lm-eval asks of a model, answered by a server."""

    def __init__(self, server: Server):
        super().__init__()
        self._server = server
        served = server.ask("/v1/models")["data"][0]
        # A position is left for the token that a request asks for.
        self.max_length = served["context_length"] - 1
        self._name: str = served["id"]
        self._prefix = self._tokens("", True) or self._tokens("\n", False)[:1]

    def _tokens(self, text: str, special: bool) -> list[int]:
        tokens: list[int] = self._server.ask("/tokenize", {"content": text, "add_special": special})["tokens"]
        return tokens

    @property
    def tokenizer_name(self) -> str:
        return self._name

    @property
    def eot_token_id(self) -> int:
        return self._prefix[0]

    def tok_encode(self, string: str, add_special_tokens: Any = None, **_: Any) -> list[int]:
        return self._tokens(string, add_special_tokens is not False)

    def _score(self, context: list[int], continuation: list[int]) -> tuple[float, bool]:
        ids = (context + continuation)[-self.max_length :]
        answer = self._server.ask("/v1/completions", {"prompt": ids, "echo": True, "logprobs": 1, "max_tokens": 1,
                                                      "temperature": 0})  # fmt: skip
        told = answer["choices"][0]["logprobs"]
        first = max(1, len(ids) - len(continuation))
        total, greedy = 0.0, True
        for i in range(first, len(ids)):
            total += told["token_logprobs"][i]
            greedy = greedy and told["token_logprobs"][i] >= max(told["top_logprobs"][i].values())
        return total, greedy

    def _loglikelihood_tokens(self, requests: Any, **_: Any) -> list[tuple[float, bool]]:
        return [self._score(context, continuation) for _, context, continuation in requests]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        totals = []
        for request in requests:
            windows = get_rolling_token_windows(
                self._tokens(request.args[0], False), self.eot_token_id, self.max_length, 1
            )
            total = 0.0
            for window in windows:
                total += self._score(*map(list, make_disjoint_window(window)))[0]
            totals.append(total)
        return totals

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        answers = []
        for request in requests:
            prompt, options = request.args
            most = int(options.get("max_gen_toks", 128))
            until = options.get("until") or []
            body = {
                "prompt": self._tokens(prompt, True)[-max(1, self.max_length - most) :],
                "max_tokens": most,
                "temperature": 0,
            }
            text = self._server.ask("/v1/completions", body)["choices"][0]["text"]
            for stop in [until] if isinstance(until, str) else until:
                text = text.split(stop)[0] if stop else text
            answers.append(text)
        return answers


def _aggregation(task: Any, metric: str) -> str:
    """The name of a task's means of aggregation."""
    function = task.aggregation().get(metric.split(",")[0], AGGREGATION_REGISTRY["mean"])
    for name, known in AGGREGATION_REGISTRY.items():
        if known is function:
            return str(name)
    raise SystemExit(
        f"{task.config.task}: {metric} is aggregated by a function of the task's own, which parts have no name for"
    )


def _group(group: Any) -> dict[str, Any]:
    """What it makes of its tasks' metrics, in lm-eval's own terms."""
    return {
        "name": group.name,
        "tasks": [task.task_name for task in group.get_all_tasks()],
        "means": [
            {"metric": mean.metric, "filters": mean.filter_list, "by_size": mean.weight_by_size}
            for mean in group.aggregate_metric_list or []
        ],
    }


def _part_of(task: Any, order: dict[str, Any]) -> list[int]:
    """The documents of this part."""
    count = len(task.eval_docs)
    count = min(count, order["limit"] or count)
    begin, end = (count * (order["part"] + step) // order["parts"] for step in (0, 1))
    return list(range(begin, end))


def score(order: dict[str, Any]) -> dict[str, Any]:
    loaded = TaskManager(include_path=order["include"]).load([order["task"]])
    tasks = loaded["tasks"]
    for task in tasks.values():
        # As lm-eval has it: a task that is meant to be without examples stays so.
        if order["fewshot"] is not None and task.get_config("num_fewshot") != 0:
            task.set_config(key="num_fewshot", value=order["fewshot"])
        task.set_fewshot_seed(seed=1234)
    samples = {name: _part_of(task, order) for name, task in tasks.items()}
    asked = {name: task for name, task in tasks.items() if samples[name]}
    found: dict[str, Any] = {}
    if asked:
        server = Server(order["tool"], order["model"], order["numerics"], order["threads"])
        try:
            found = evaluator.evaluate(Model(server), {"tasks": asked}, samples=samples, bootstrap_iters=0)["samples"]
        finally:
            server.close()
    return {
        "tasks": {name: _scored(task, found.get(name, [])) for name, task in tasks.items()},
        "groups": [_group(group) for group in loaded["groups"].values()],
    }


def _scored(task: Any, samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of each document, and how they are put together."""
    documents: dict[int, dict[str, Any]] = {}
    for sample in samples:
        values = documents.setdefault(sample["doc_id"], {})
        for metric in sample["metrics"]:
            values[f"{metric},{sample['filter']}"] = sample[metric]
    names = {metric for values in documents.values() for metric in values}
    return {
        "documents": [documents[i] for i in sorted(documents)],
        "aggregation": {metric: _aggregation(task, metric) for metric in sorted(names)},
    }


def main() -> None:
    order = json.loads(sys.argv[1])
    Path(order["output"]).write_text(json.dumps(score(order), default=float))


if __name__ == "__main__":
    main()
