"""`diptych worker` by ExecuTorch's protocol, and behind ExecuTorch's own control plane of the stock package
(executorch.examples.llm_server), which starts it as it starts its own workers."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

from context import ROOT
from report import Row
from serve import check, missing, model, said

CONTROL_PLANE = "executorch.examples.llm_server.python.server"


def protocol(context, path):
    process = subprocess.Popen([str(context.diptych), "worker", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(**request):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        text = ""
        while True:
            line = json.loads(process.stdout.readline())
            if "token" not in line:
                return text, line
            text += line["token"]

    assert json.loads(process.stdout.readline())["ready"]
    text, done = ask(prompt="Once upon a time", max_new_tokens=12, temperature=0)
    assert text and done["completion_tokens"] == 12 and done["finish_reason"] == "length", done
    again = ask(prompt="Once upon a time", max_new_tokens=12, temperature=0)
    assert again[0] == text
    assert ask(op="open", session_id="a")[1] == {"opened": True, "session_id": "a"}
    first = ask(prompt="Once upon a time", max_new_tokens=5, temperature=0, session_id="a")[1]
    second = ask(prompt_segments=[{"text": "Once upon a time"}, {"ids": first["generated_token_ids"]}, {"text": " and"}],
                 max_new_tokens=5, temperature=0, session_id="a")[1]  # fmt: skip
    assert second["session_reset_reason"] == "exact_prefix" and second["reused_prompt_tokens"] > 0, second
    third = ask(prompt="Another", max_new_tokens=2, session_id="a")[1]
    assert third["session_reset_reason"] == "mismatch" and third["reused_prompt_tokens"] == 0
    for wrong in ({}, {"prompt": 1}, {"prompt": ""}, {"op": "dance"}, {"prompt": "a", "top_p": 0}, {"prompt": "word " * 2000}):
        assert "error" in ask(**wrong)[1], wrong
    codes = [ask(op="open", session_id=str(i))[1].get("code") for i in range(6)]
    assert codes[-1] == "capacity_exhausted", codes
    process.stdin.close()
    assert process.wait(20) == 0


@contextmanager
def control_plane(context, path):
    """The address of upstream's server, with diptych-worker as its worker."""
    log = context.work / "control_plane.log"
    with open(log, "w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", CONTROL_PLANE, "--port", "0", "--worker-bin", str(context.diptych.parent / "diptych-worker"),
             "--model-path", str(path), "--tokenizer-path", str(ROOT / "demo" / "tokenizer.model"), "--allow-chatml-fallback",
             "--model-id", "demo", "--max-context", "512"], stdout=out, stderr=out)  # fmt: skip
        try:
            yield said(server, log, "running on", 120)
        finally:
            server.terminate()
            server.wait()


def post(url, body, session=None):
    headers = {"Content-Type": "application/json"} | ({"X-ExecuTorch-Session-ID": session} if session else {})
    return urllib.request.urlopen(urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), headers), timeout=60)


def behind_control_plane(context, path):
    with control_plane(context, path) as url:
        models = json.loads(urllib.request.urlopen(url + "/v1/models").read())
        assert [entry["id"] for entry in models["data"]] == ["demo"], models
        messages = [{"role": "user", "content": "Once upon a time"}]
        body = {"model": "demo", "messages": messages, "max_tokens": 12, "temperature": 0}
        answer = json.loads(post(url, body).read())
        text = answer["choices"][0]["message"]["content"]
        usage = answer["usage"]
        assert text and usage["completion_tokens"] == 12 and usage["prompt_tokens"] > 0, answer
        pieces = ""
        for line in post(url, body | {"stream": True}):
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                pieces += choices[0]["delta"].get("content") or "" if choices else ""
        assert pieces == text, (pieces, text)
        assert json.loads(post(url, body, "a").read())["choices"][0]["message"]["content"] == text
        again = messages + [{"role": "assistant", "content": text}, {"role": "user", "content": "And then?"}]
        assert json.loads(post(url, body | {"messages": again}, "a").read())["usage"]["prompt_tokens"] > usage["prompt_tokens"]
        try:
            post(url, body | {"messages": [{"role": "user", "content": "word " * 4000}]})
            raise AssertionError("a prompt beyond the context was answered")
        except urllib.error.HTTPError as error:
            assert json.loads(error.read())["error"]["message"]


def rows(context):
    path = model(context)
    yield check("worker: ExecuTorch's protocol", protocol, context, path)
    if not_there := missing("executorch", "fastapi", "uvicorn"):
        yield Row("worker: ExecuTorch's control plane", True, note=not_there)
    else:
        yield check("worker: ExecuTorch's control plane", behind_control_plane, context, path)
