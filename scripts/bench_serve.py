#!/usr/bin/env python3
"""`diptych serve` beside llama-server: random weights of a shape in Q4_0, asked by clients on loopback (load.py). The .pte
has them as they are, or in the form that --linear_quantize names.

  scripts/bench_serve.py --llama-server PATH --tokenizer SmolLM2-135M-Instruct.Q4_1.gguf
  scripts/bench_serve.py … --shape 135m --clients 1,4 --rounds 5

Rounds take turns; a row says the median of tokens a second of all clients, and of the time to a client's first one.
The model has the tokenizer and the vocabulary of the GGUF that is named. Needs the Python packages numpy and gguf.
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from bench_peers import SHAPES, specification
from peers import progress, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONTEXT = 1024


def write_model(diptych, shape, tokenizer, path):
    import gguf
    import llama_peer

    vocab = len(gguf.GGUFReader(tokenizer).get_field("tokenizer.ggml.tokens").data)
    params = json.loads(run([diptych, "synth", "--shape", specification(shape), "--dry-run"])) | {"vocab_size": vocab}
    unfinished = path.with_suffix(".part")
    llama_peer.write_random(params, "q4_0", unfinished, tokenizer)
    os.replace(unfinished, path)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def serving(command, log):
    """The address of a server that answers, until the context ends."""
    port = free_port()
    command, url = [*command, "--port", port], f"http://127.0.0.1:{port}"
    with open(log, "w") as out:
        server = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out)
        try:
            for _ in range(1200):
                if server.poll() is not None:
                    sys.exit(f"bench_serve: {command[0]} ended with {server.returncode}; see {log}")
                try:
                    if urllib.request.urlopen(url + "/health").status == 200:
                        break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.wait()


def main():
    in_q4_0 = [shape for shape, entry in SHAPES.items() if any(theirs == "q4_0" for _, theirs in entry["pairs"])]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-server", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a GGUF")
    parser.add_argument("--shape", choices=in_q4_0, default="1b")
    parser.add_argument("--linear-quantize", default="keep", help="of diptych export")
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--diptych", type=Path, default=ROOT / "build" / "release" / "bin" / "diptych")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench_serve")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    form = options.linear_quantize
    model, ours = options.work / f"{options.shape}.gguf", options.work / f"{options.shape} {form.replace(':', '_')}.pte"
    if not model.exists():
        write_model(options.diptych, options.shape, options.tokenizer, model)
    if not ours.exists():
        run([options.diptych, "export", model, "-o", ours, "--max_context_len", CONTEXT, "--prefill_len", "32,128",
             "--recipe", "none", "--linear_quantize", form, "-E", "keep", "--no_check"])
    slots = max(int(count) for count in options.clients.split(","))
    servers = {
        "diptych": [options.diptych, "serve", ours, "--slots", slots, "--threads", options.threads, "--log", "none"],
        "llama-server": [options.llama_server, "-m", model, "-np", slots, "-c", slots * CONTEXT, "-t", options.threads,
                         "-tb", options.threads],
    }
    rows = {name: [] for name in servers}
    for number in range(options.rounds):
        for name, command in servers.items():
            with serving(command, options.work / f"{name}.log") as url:
                out = options.work / f"{name}.json"
                run([sys.executable, HERE / "load.py", url, "--clients", options.clients, "--tokens", options.tokens,
                     "--requests", 0, "--json", out])
            rows[name].append(json.loads(out.read_text())["clients"])
        progress(f"round {number + 1} of {options.rounds}")
    about = run(["sh", "-c", f"'{options.llama_server}' --version 2>&1"])
    print(f"llama-server {re.search('version: .*', about).group()}; {options.threads} threads, {slots} slots, "
          f"{options.tokens} tokens an answer; {form}\n")
    print("| clients | diptych, tok/s | first token, s | longest silence, s | llama-server, tok/s | first token, s | "
          "longest silence, s | ratio |\n| " + "--- | " * 8)
    for i, clients in enumerate(options.clients.split(",")):
        def median(name, key):
            return statistics.median(row[i][key] for row in rows[name])

        cells = [clients]
        for name in servers:
            cells += [f"{median(name, 'tokens_per_second'):.1f}", f"{median(name, 'first_token_seconds'):.3f}",
                      f"{median(name, 'longest_silence_seconds'):.3f}"]
        ratio = median("diptych", "tokens_per_second") / median("llama-server", "tokens_per_second")
        print("| " + " | ".join([*cells, f"{ratio:.2f}"]) + " |")


if __name__ == "__main__":
    main()
