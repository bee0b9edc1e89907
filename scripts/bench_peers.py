#!/usr/bin/env python3
"""Times diptych, llama.cpp and ONNX Runtime on the same shapes, in turns, and prints how they compare.

  scripts/bench_peers.py                           all shapes; some hours on two cores
  scripts/bench_peers.py --shapes 260k,110m --threads 2 --rounds 5 --json peers.json
  scripts/bench_peers.py --shapes 1b --pairs 'c4w fast:q4_0,fp16 fast:f16' --tests pp512,tg32
  scripts/bench_peers.py --shapes 1b --isa avx2    without what goes beyond AVX2

Random weights of the real shapes. Each round measures every test once with each file of either side,
one after the other, so that what else the machine does falls on all alike; a row's figure is the
median of its rounds. A measurement does the test once untimed before (peers: the first time) and
loads nothing while the clock runs. Beside each row stand the bytes that a decoded token reads: the
formats compared differ in that, and decoding is bound by it.

The first run sets the peers up in virtual environments (llama-cpp-python takes some minutes of compilation,
ONNX Runtime's model builder needs torch) and writes models of up to 5 GB each into --work.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import peers
from peers import progress, run
from timed_peer import parse_test

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
MAX_CONTEXT = 1024

# Ours: arguments of export, numerics. Theirs: formats of peers.py. The pairs are compared row by row, prefill with
# the best of each peer too, of those in "also" as well. 172 columns, as 260k has them, make no blocks of 32.
OURS = {
    "c4w fast": (["--linear_quantize", "c4w"], "fast"),
    "b4w fast": (["--linear_quantize", "b4w"], "fast"),
    "fp16 fast": (["--linear_quantize", "none"], "fast"),
    "c4w precise": (["--linear_quantize", "c4w"], "precise"),
}
LARGE_PAIRS = [("c4w fast", "q4_0"), ("b4w fast", "q4_0_pure"), ("b4w fast", "ort_int4"), ("fp16 fast", "f16"),
               ("c4w precise", "q4_0")]
SHAPES = {
    "260k": {"input_len": 32, "pairs": [("c4w fast", "f32"), ("fp16 fast", "f16")]},
    "110m": {"input_len": 128, "also": ["q8_0"], "pairs": LARGE_PAIRS},
    # SmolLM2's.
    "135m": {"input_len": 128, "synth": "dim=576,layers=30,heads=9,kv_heads=3,hidden=1536,vocab=49152,tied=1",
             "pairs": [("b4w fast", "q4_0"), ("b4w fast", "f16"), ("b4w fast", "ort_int4"), ("c4w fast", "q4_0"),
                       ("c4w fast", "f16")]},
    "1b": {"input_len": 128, "also": ["q8_0"], "pairs": LARGE_PAIRS},
}
ALL_PAIRS = {shape: entry["pairs"] for shape, entry in SHAPES.items()}


def specification(shape):
    """As `diptych synth` takes it."""
    return SHAPES[shape].get("synth", shape)


class CpuTime:
    """Processor seconds that others used since it was made, ours being those of some processes."""

    TICK = os.sysconf("SC_CLK_TCK")

    def __init__(self, processes):
        self.processes = processes
        self.start = time.perf_counter()
        self.all, self.own = self.busy(), self.ours()

    def busy(self):
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / self.TICK

    def ours(self):
        own = os.times()
        seconds = own.user + own.system + own.children_user + own.children_system
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / self.TICK
        return seconds

    def others(self):
        """CPUs' worth of time."""
        used = self.busy() - self.all - (self.ours() - self.own)
        return max(used, 0) / (time.perf_counter() - self.start)


class Ours:
    """A .pte, measured by `diptych bench` in a process of its own each time."""

    def __init__(self, diptych, path, numerics):
        self.diptych, self.path, self.numerics = diptych, path, numerics
        self.process = None

    def measure(self, test, threads):
        is_prompt, count, depth = parse_test(test)
        lengths = ["-p", count, "-n", 0] if is_prompt else ["-p", 0, "-n", count]
        row = json.loads(run([self.diptych, "bench", self.path, *lengths, "-d", depth, "-t", threads,
                              "-r", "1", "--numerics", self.numerics, "--json"]))[0]
        if row["skipped"]:
            sys.exit(f"bench_peers: {self.path}: {test} {row['skipped']}")
        return {"tokens_per_second": row["median"], "load_seconds": row["load_seconds"],
                "peak_memory_bytes": row["peak_memory_bytes"], "bytes_per_token": row["bytes_per_token"],
                "pct_of_limit": row["pct_of_limit"]}

    def close(self):
        pass


def export(diptych, work, shape, name):
    path = os.path.join(work, f"{shape}-{name.split()[0]}.pte")
    if not os.path.exists(path):
        progress(f"exporting {path}")
        source = os.path.join(work, f"synth-{shape}")
        run([diptych, "export", "-c", f"{source}/model.pth", "-p", f"{source}/params.json", "-o", path,
             "--multifunction", "--dtype", "fp16", "--max_context_len", str(MAX_CONTEXT),
             "--input_len", str(SHAPES[shape]["input_len"]), *OURS[name][0]])
    return path


def measure_shape(options, programs, shape, threads):
    """Rows of one shape with one number of threads."""
    work, tests = options.work, options.tests.split(",")
    source = os.path.join(work, f"synth-{shape}")
    if not os.path.exists(source):
        run([options.diptych, "synth", "--shape", specification(shape), "-o", source])
    with open(os.path.join(source, "params.json")) as file:
        params = json.load(file)
    sides = {("diptych", name): Ours(options.diptych, export(options.diptych, work, shape, name), OURS[name][1])
             for name in dict.fromkeys(pair[0] for pair in SHAPES[shape]["pairs"])}
    for peer in programs:
        for kind in formats_of(peer, shape):
            sides[peer.name, kind] = peer.serve(peer.model(options, shape, kind), threads, params)
    # One of each program, the next of each …
    of = {who: [key for key in sides if key[0] == who] for who, _ in sides}
    order = [key for i in range(len(sides)) for who in of for key in of[who][i:i + 1]]
    found = {(key, test): [] for test in tests for key in order}
    try:
        for round_number in range(options.rounds):
            for test in tests:
                for key in order:
                    clock = CpuTime([side.process for side in sides.values() if side.process])
                    sample = sides[key].measure(test, threads)
                    sample["others"] = clock.others()
                    found[key, test].append(sample)
                progress(f"{shape}, {threads} threads, {test}: round {round_number + 1} of {options.rounds}")
    finally:
        for side in sides.values():
            side.close()
    rows = []
    for ((who, name), test), samples in found.items():
        def middle(key):
            return statistics.median(s[key] for s in samples) if key in samples[0] else None
        rows.append({"shape": shape, "threads": threads, "test": test, "program": who, "format": name,
                     "median": middle("tokens_per_second"),
                     "samples": [s["tokens_per_second"] for s in samples],
                     "bytes_per_token": middle("bytes_per_token"), "pct_of_limit": middle("pct_of_limit"),
                     "load_seconds": middle("load_seconds"),
                     "peak_memory_bytes": max(s["peak_memory_bytes"] for s in samples),
                     "others_cpus": [round(s["others"], 3) for s in samples]})
    return rows


def keep_pairs(wanted, programs):
    """Leaves in SHAPES only the pairs that are wanted (all: None) and whose peer there is."""
    present = {kind for peer in programs for kind in peer.formats}
    for shape, entry in SHAPES.items():
        pairs = [pair for pair in entry["pairs"] if (wanted is None or pair in wanted) and pair[1] in present]
        SHAPES[shape] = dict(entry, pairs=pairs, also=[] if wanted else entry.get("also", []))


def formats_of(peer, shape):
    """Those of a peer that a shape is measured with."""
    entry = SHAPES[shape]
    kinds = dict.fromkeys([theirs for _, theirs in entry["pairs"]] + entry.get("also", []))
    return [kind for kind in kinds if kind in peer.formats]


def ratios(rows):
    """Ours beside theirs, for each pair; of prefill also beside the best of each peer."""
    result = []
    for row in rows:
        if row["program"] != "diptych":
            continue
        same = [r for r in rows if all(r[key] == row[key] for key in ("shape", "threads", "test"))]
        pairs = [theirs for ours, theirs in SHAPES[row["shape"]]["pairs"] if ours == row["format"]]
        beside = [r for kind in pairs for r in same if r["format"] == kind and r["program"] != "diptych"]
        if row["test"].startswith("pp"):
            for program in dict.fromkeys(r["program"] for r in same if r["program"] != "diptych"):
                best = max((r for r in same if r["program"] == program), key=lambda r: r["median"])
                if best not in beside:
                    beside.append(best)
        for peer in beside:
            result.append({"shape": row["shape"], "threads": row["threads"], "test": row["test"],
                           "ours": row["format"], "program": peer["program"], "theirs": peer["format"],
                           "ratio": row["median"] / peer["median"], "our_row": row, "their_row": peer})
    return result


def table(heading, lines):
    """In Markdown, which reads as text too."""
    cells = [heading] + lines
    widths = [max(len(line[i]) for line in cells) for i in range(len(heading))]
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in cells]
    text.insert(1, "| " + " | ".join("-" * w for w in widths) + " |")
    return "\n".join(text) + "\n"


def ratio_table(rows):
    lines = []
    for r in ratios(rows):
        ours, theirs = r["our_row"], r["their_row"]
        decode = r["test"].startswith("tg")
        lines.append([r["shape"], str(r["threads"]), r["test"], r["ours"], f"{ours['median']:.1f}",
                      f"{ours['pct_of_limit']:.0f} %", f"{ours['bytes_per_token'] / 1e6:.1f}" if decode else "",
                      r["program"], r["theirs"], f"{theirs['median']:.1f}",
                      f"{theirs['bytes_per_token'] / 1e6:.1f}" if decode else "", f"{r['ratio']:.2f}"])
    return table(["shape", "threads", "test", "diptych", "tok/s", "of limit", "MB/token", "peer", "format",
                  "tok/s", "MB/token", "ratio"], lines)


def start_table(rows):
    lines = []
    for row in rows:
        same = [r for r in rows if all(r[k] == row[k] for k in ("shape", "threads", "program", "format"))]
        if row is same[0]:
            peak = max(r["peak_memory_bytes"] for r in same)
            load = statistics.median(r["load_seconds"] for r in same)
            lines.append([row["shape"], str(row["threads"]), row["program"], row["format"],
                          f"{load:.3f}", f"{peak / 2**20:.0f}"])
    return table(["shape", "threads", "program", "format", "load s", "peak MiB"], lines)


def has_more_than_avx2():
    with open("/proc/cpuinfo") as file:
        text = file.read()
    return any(name in text for name in ("avx512", "avx_vnni", "amx"))


def cpu_name():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown CPU")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--tests", default="pp64,pp512,tg64,tg64@512")
    parser.add_argument("--pairs", help="'OURS:THEIRS,…' of those that the table shows; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "peers"), help="where models are kept")
    parser.add_argument("--isa", choices=peers.LLAMA_BUILDS,
                        help="instruction set that no program goes beyond; ONNX Runtime cannot be held to one and is "
                             "left out on machines with more")
    parser.add_argument("--peers", default=",".join(peers.ALL), help="the programs to compare with (default: %(default)s)")
    parser.add_argument("--venv", help="virtual environment with llama-cpp-python, compiled for --isa; "
                                       "default: WORK/venv or WORK/venv-ISA")
    parser.add_argument("--ort-venv", help="virtual environment with onnxruntime-genai and what its model builder "
                                           "needs; default: WORK/venv-ort")
    parser.add_argument("--diptych", default=os.path.join(ROOT, "build", "release", "bin", "diptych"))
    parser.add_argument("--json", metavar="FILE", help="also write all rows and ratios here")
    options = parser.parse_args()
    unknown = [shape for shape in options.shapes.split(",") if shape not in SHAPES]
    if unknown:
        parser.error(f"unknown shape {unknown[0]}: expected {', '.join(SHAPES)}")
    options.specification = specification
    os.makedirs(options.work, exist_ok=True)
    names = options.peers.split(",")
    for name in names:
        if name not in peers.ALL:
            parser.error(f"--peers: unknown program {name}: expected {', '.join(peers.ALL)}")
    if options.isa and "ort" in names and has_more_than_avx2():
        progress(f"ONNX Runtime is left out: it would use more than {options.isa} here")
        names.remove("ort")
    present = [peers.ALL[name](options) for name in names]
    keep_pairs([tuple(pair.split(":")) for pair in options.pairs.split(",")] if options.pairs else None, present)
    for shape in options.shapes.split(","):
        if not SHAPES[shape]["pairs"]:
            parser.error(f"nothing to compare of {shape}, whose pairs are "
                         f"{', '.join(':'.join(pair) for pair in ALL_PAIRS[shape])}")
    if options.isa:
        os.environ["DIPTYCH_ISA"] = options.isa
    rows = []
    try:
        for shape in options.shapes.split(","):
            for threads in options.threads.split(","):
                rows += measure_shape(options, present, shape, int(threads))
    except KeyboardInterrupt:
        progress("interrupted: what follows is what was complete")
    if not rows:
        sys.exit("bench_peers: nothing was measured")
    others = [value for row in rows for value in row["others_cpus"]]
    print(f"{cpu_name()}; medians of {options.rounds} rounds. Other processes used {statistics.mean(others):.2f} CPUs "
          f"on average, {max(others):.2f} at most.")
    for peer in present:
        print(f"Peer: {peer.about()}.")
    print()
    print(ratio_table(rows))
    print(start_table(rows), end="")
    if options.json:
        unfinished = options.json + ".part"
        with open(unfinished, "w") as file:
            json.dump({"machine": cpu_name(), "isa": options.isa,
                       "peers": {peer.name: peer.about() for peer in present}, "rounds": options.rounds, "rows": rows,
                       "ratios": [{k: v for k, v in r.items() if not k.endswith("_row")} for r in ratios(rows)]},
                      file, indent=1)
        os.replace(unfinished, options.json)


if __name__ == "__main__":
    main()
