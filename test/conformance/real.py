"""A real model, SmolLM2-135M-Instruct as the GGUF that a wheel on PyPI holds, beside llama.cpp: ids of a text,
perplexity over the same windows, and an answer that anyone can judge. scripts/quality.py fetches model and text."""

import importlib.util
import json
import subprocess
import sys
import time

from context import ROOT, run
from report import Row

TOKENS = 10_000
CHARACTERS = 80_000  # more than so many tokens have
QUESTION, ANSWER = "What is the capital of France?", "Paris"


def load_quality():
    spec = importlib.util.spec_from_file_location("quality", ROOT / "scripts" / "quality.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peer(*arguments, text=None):
    command = [sys.executable, str(ROOT / "scripts" / "llama_peer.py"), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"llama_peer: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


def ids_row(quality, context, gguf):
    start = time.time()
    text = quality.text()[:CHARACTERS]
    ours, theirs = quality.token_ids(context.diptych, gguf, text), peer("tokenize", gguf, text=text)
    same = next((i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
    ok = len(ours) >= TOKENS and ours[:TOKENS] == theirs[:TOKENS]
    note = "" if ok else f"{len(ours)} ids, {len(theirs)} of llama.cpp, equal up to {same}"
    return Row(f"ids of {TOKENS} tokens of text are llama.cpp's", ok, seconds=time.time() - start, note=note)


def perplexity_row(quality, context, inputs):
    start = time.time()
    ours = run([context.diptych, "eval", quality.reference_file(inputs), "--ids", inputs.ids_file, "--max_positions",
                quality.POSITIONS, "--context", quality.WINDOW, "--numerics", "precise", "--json"])  # fmt: skip
    ours = json.loads(ours)["perplexity"]
    theirs = peer("evaluate", inputs.gguf, inputs.ids_file, quality.WINDOW, 0)["perplexity"]
    return Row("perplexity without quantisation is within 1 % of llama.cpp's", abs(ours / theirs - 1) <= 0.01,
               seconds=time.time() - start, note=f"{ours:.3f}, llama.cpp {theirs:.3f}")  # fmt: skip


def fast_row(quality, context, inputs, model):
    """What docs/performance.md promises of fast numerics."""
    start = time.time()
    found = json.loads(run([context.diptych, "eval", model, "--ids", inputs.ids_file, "--max_positions",
                            quality.POSITIONS, "--context", quality.WINDOW, "--numerics", "fast",
                            "--against_numerics", "precise", "--json"]))  # fmt: skip
    same, divergence = found["comparison"]["top1_agreement"], found["comparison"]["kl_mean"]
    return Row("fast numerics: KL to precise at most 1e-3, the same first choice at 98 %",
               divergence <= 1e-3 and same >= 0.98, seconds=time.time() - start,
               note=f"{divergence:.1e}, {100 * same:.2f} %")  # fmt: skip


def answer_row(context, gguf, model):
    start = time.time()
    context.work.mkdir(parents=True, exist_ok=True)
    run([context.diptych, "export", gguf, "-o", model])
    chat = [str(context.diptych), "chat", str(model), "-n", "40", "--temperature", "0"]
    answer = subprocess.run(chat, input=QUESTION + "\n", capture_output=True, text=True).stdout
    return Row(f'the default export answers "{QUESTION}"', ANSWER in answer, seconds=time.time() - start,
               note="" if ANSWER in answer else f"found {answer.strip()[:100]!r}")  # fmt: skip


def rows(context):
    quality = load_quality()
    work = ROOT / "build" / "quality"
    try:
        gguf = quality.fetch_model(work)
    except quality.Failure as failure:
        yield Row("real model", True, note=f"skipped: {str(failure).splitlines()[0][:120]}")
        return
    inputs = quality.Inputs(context.diptych, work)
    if quality.peer_version(sys.executable) is None:
        yield Row("beside llama.cpp", True, note="skipped: llama-cpp-python is not installed")
    else:
        yield ids_row(quality, context, gguf)
        yield perplexity_row(quality, context, inputs)
    model = context.work / "real.pte"
    yield answer_row(context, gguf, model)
    yield fast_row(quality, context, inputs, model)
