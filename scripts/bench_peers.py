#!/usr/bin/env python3
"""Times diptych and llama.cpp on the same shapes, in turns, and prints how they compare.

  scripts/bench_peers.py                           all shapes; some hours on two cores
  scripts/bench_peers.py --shapes 260k,110m --threads 2 --rounds 5 --json peers.json
  scripts/bench_peers.py --shapes 1b --pairs 'c4w fast:q4_0,fp16 fast:f16' --tests pp512,tg32
  scripts/bench_peers.py --shapes 1b --isa avx2    both programs without what goes beyond AVX2

Random weights of the real shapes. Each round measures every test once with each file of either side,
one after the other, so that what else the machine does falls on all alike; a row's figure is the
median of its rounds. A measurement does the test once untimed before (llama.cpp: the first time) and
loads nothing while the clock runs. Beside each row stand the bytes that a decoded token reads: the
formats compared differ in that, and decoding is bound by it.

The first run sets up llama-cpp-python in a virtual environment (--venv; some minutes of compilation)
and writes models of up to 5 GB into --work.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PACKAGES = ["numpy", "gguf==0.19.0", "llama-cpp-python==0.3.36"]
# How llama.cpp is compiled for less than this machine has.
LLAMA_BUILDS = {"avx2": "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"}
BEYOND_AVX2 = ("AVX_VNNI", "AVX512", "AMX")  # how features that such a build lacks begin
MAX_CONTEXT = 1024

# Ours: arguments of export, numerics. Theirs: formats of llama_peer.py. The pairs are compared row by
# row, prefill with the best of theirs too. 172 columns, as 260k has them, make no blocks of 32.
OURS = {
    "c4w fast": (["--linear_quantize", "c4w"], "fast"),
    "b4w fast": (["--linear_quantize", "b4w"], "fast"),
    "fp16 fast": (["--linear_quantize", "none"], "fast"),
    "c4w precise": (["--linear_quantize", "c4w"], "precise"),
}
SHAPES = {
    "260k": {"input_len": 32, "theirs": ["f32", "f16"],
             "pairs": [("c4w fast", "f32"), ("fp16 fast", "f16")]},
    "110m": {"input_len": 128, "theirs": ["q4_0", "q4_0_pure", "q8_0", "f16"],
             "pairs": [("c4w fast", "q4_0"), ("b4w fast", "q4_0_pure"), ("fp16 fast", "f16"),
                       ("c4w precise", "q4_0")]},
}
SHAPES["1b"] = SHAPES["110m"]
ALL_PAIRS = {shape: entry["pairs"] for shape, entry in SHAPES.items()}


def progress(text):
    print(text, file=sys.stderr, flush=True)


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"bench_peers: this failed with status {result.returncode}: {' '.join(command)}")
    return result.stdout


def set_up_venv(directory, isa):
    """The environment's Python, and which llama.cpp it has: its version and instruction sets."""
    python = os.path.join(directory, "bin", "python")
    if not os.path.exists(python):
        progress(f"installing {', '.join(PACKAGES)} in {directory}")
        run([sys.executable, "-m", "venv", directory])
    check = "import llama_cpp, gguf, numpy; print(llama_cpp.__version__)"
    if subprocess.run([python, "-c", check], capture_output=True).returncode != 0:
        if isa:
            os.environ.update(CMAKE_ARGS=LLAMA_BUILDS[isa], PIP_NO_CACHE_DIR="1")  # a cached one is of another kind
        run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *PACKAGES])
    features = run([python, "-c", "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"])
    present = [part.split(" = 1")[0].split(":")[-1].strip() for part in features.split("|") if " = 1" in part]
    return python, run([python, "-c", check]).strip(), present


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
        count, depth = (test[2:] + "@0").split("@")[:2]
        lengths = ["-p", count, "-n", "0"] if test.startswith("pp") else ["-p", "0", "-n", count]
        row = json.loads(run([self.diptych, "bench", self.path, *lengths, "-d", depth, "-t", str(threads),
                              "-r", "1", "--numerics", self.numerics, "--json"]))[0]
        if row["skipped"]:
            sys.exit(f"bench_peers: {self.path}: {test} {row['skipped']}")
        return {"tokens_per_second": row["median"], "load_seconds": row["load_seconds"],
                "peak_memory_bytes": row["peak_memory_bytes"], "bytes_per_token": row["bytes_per_token"],
                "pct_of_limit": row["pct_of_limit"]}

    def close(self):
        pass


class Theirs:
    """A .gguf in a process that keeps it loaded."""

    def __init__(self, python, path, threads, params):
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "llama_peer.py"), "serve", path, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        kv_heads = params.get("n_kv_heads") or params["n_heads"]
        # Keys and values in fp16.
        self.position_bytes = 4 * params["n_layers"] * kv_heads * params["dim"] // params["n_heads"]

    def measure(self, test, threads):
        self.process.stdin.write(test + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peers: llama.cpp's process ended")
        row = json.loads(line)
        # The head is the table of embeddings, so all tensors are read for a token; keys and values
        # as they are halfway through the test.
        count, depth = (int(n) for n in (test[2:] + "@0").split("@")[:2])
        row["bytes_per_token"] = row.pop("weight_bytes") + (depth + (count - 1) / 2) * self.position_bytes
        row["peak_memory_bytes"] -= row.pop("peak_before_load")
        return row

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def export(diptych, work, shape, name):
    path = os.path.join(work, f"{shape}-{name.split()[0]}.pte")
    if not os.path.exists(path):
        progress(f"exporting {path}")
        source = os.path.join(work, f"synth-{shape}")
        run([diptych, "export", "-c", f"{source}/model.pth", "-p", f"{source}/params.json", "-o", path,
             "--multifunction", "--dtype", "fp16", "--max_context_len", str(MAX_CONTEXT),
             "--input_len", str(SHAPES[shape]["input_len"]), *OURS[name][0]])
    return path


def make_gguf(python, work, shape, kind):
    path = os.path.join(work, f"{shape}-{kind}.gguf")
    if not os.path.exists(path):
        progress(f"writing {path}")
        run([python, os.path.join(HERE, "llama_peer.py"), "make",
             os.path.join(work, f"synth-{shape}", "params.json"), kind, path])
    return path


def measure_shape(options, python, shape, threads):
    """Rows of one shape with one number of threads."""
    work, tests = options.work, options.tests.split(",")
    source = os.path.join(work, f"synth-{shape}")
    if not os.path.exists(source):
        run([options.diptych, "synth", "--shape", shape, "-o", source])
    with open(os.path.join(source, "params.json")) as file:
        params = json.load(file)
    sides = {("diptych", name): Ours(options.diptych, export(options.diptych, work, shape, name), OURS[name][1])
             for name in dict.fromkeys(pair[0] for pair in SHAPES[shape]["pairs"])}
    for kind in SHAPES[shape]["theirs"]:
        sides["llama.cpp", kind] = Theirs(python, make_gguf(python, work, shape, kind), threads, params)
    # Ours, theirs, ours, theirs …
    of = {who: [key for key in sides if key[0] == who] for who in ("diptych", "llama.cpp")}
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


def keep_pairs(text):
    """Leaves in SHAPES only the pairs that are named, and only the formats that these compare."""
    wanted = [tuple(pair.split(":")) for pair in text.split(",")]
    for shape, entry in SHAPES.items():
        pairs = [pair for pair in entry["pairs"] if pair in wanted]
        theirs = [name for name in entry["theirs"] if name in dict(map(reversed, pairs))]
        SHAPES[shape] = dict(entry, pairs=pairs, theirs=theirs)


def find(rows, like, program, name):
    return next(r for r in rows if r["program"] == program and r["format"] == name and
                all(r[key] == like[key] for key in ("shape", "threads", "test")))


def ratios(rows):
    """Ours beside theirs, for each pair; of prefill also beside the best of theirs."""
    result = []
    for row in rows:
        if row["program"] != "diptych":
            continue
        theirs = [name for ours, name in SHAPES[row["shape"]]["pairs"] if ours == row["format"]]
        if row["test"].startswith("pp"):
            best = max((r for r in rows if r["program"] == "llama.cpp" and
                        all(r[key] == row[key] for key in ("shape", "threads", "test"))),
                       key=lambda r: r["median"])
            theirs.append(best["format"])
        for name in dict.fromkeys(theirs):
            peer = find(rows, row, "llama.cpp", name)
            result.append({"shape": row["shape"], "threads": row["threads"], "test": row["test"],
                           "ours": row["format"], "theirs": name, "ratio": row["median"] / peer["median"],
                           "our_row": row, "their_row": peer})
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
                      r["theirs"], f"{theirs['median']:.1f}",
                      f"{theirs['bytes_per_token'] / 1e6:.1f}" if decode else "", f"{r['ratio']:.2f}"])
    return table(["shape", "threads", "test", "diptych", "tok/s", "of limit", "MB/token", "llama.cpp", "tok/s",
                  "MB/token", "ratio"], lines)


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
    parser.add_argument("--isa", choices=LLAMA_BUILDS, help="instruction set that neither program goes beyond")
    parser.add_argument("--venv", help="virtual environment with llama-cpp-python, compiled for --isa; "
                                       "default: WORK/venv or WORK/venv-ISA")
    parser.add_argument("--diptych", default=os.path.join(ROOT, "build", "release", "bin", "diptych"))
    parser.add_argument("--json", metavar="FILE", help="also write all rows and ratios here")
    options = parser.parse_args()
    unknown = [shape for shape in options.shapes.split(",") if shape not in SHAPES]
    if unknown:
        parser.error(f"unknown shape {unknown[0]}: expected {', '.join(SHAPES)}")
    if options.pairs:
        keep_pairs(options.pairs)
    for shape in options.shapes.split(","):
        if not SHAPES[shape]["pairs"]:
            parser.error(f"--pairs: none of them is one of {shape}: "
                         f"{', '.join(':'.join(pair) for pair in ALL_PAIRS[shape])}")
    os.makedirs(options.work, exist_ok=True)
    venv = options.venv or os.path.join(options.work, f"venv-{options.isa}" if options.isa else "venv")
    python, version, features = set_up_venv(venv, options.isa)
    if options.isa:
        beyond = [name for name in features if name.startswith(BEYOND_AVX2)]
        if beyond:
            sys.exit(f"bench_peers: {venv}: expected a llama.cpp for {options.isa}, found one with "
                     f"{', '.join(beyond)}; give another --venv, or none")
        os.environ["DIPTYCH_ISA"] = options.isa
    rows = []
    try:
        for shape in options.shapes.split(","):
            for threads in options.threads.split(","):
                rows += measure_shape(options, python, shape, int(threads))
    except KeyboardInterrupt:
        progress("interrupted: what follows is what was complete")
    if not rows:
        sys.exit("bench_peers: nothing was measured")
    others = [value for row in rows for value in row["others_cpus"]]
    print(f"{cpu_name()}; llama.cpp of llama-cpp-python {version} with {', '.join(features)}; medians of "
          f"{options.rounds} rounds. Other processes used {statistics.mean(others):.2f} CPUs on average, "
          f"{max(others):.2f} at most.\n")
    print(ratio_table(rows))
    print(start_table(rows), end="")
    if options.json:
        unfinished = options.json + ".part"
        with open(unfinished, "w") as file:
            json.dump({"machine": cpu_name(), "isa": options.isa, "llama_cpp_python": version,
                       "llama_cpp_features": features, "rounds": options.rounds, "rows": rows,
                       "ratios": [{k: v for k, v in r.items() if not k.endswith("_row")} for r in ratios(rows)]},
                      file, indent=1)
        os.replace(unfinished, options.json)


if __name__ == "__main__":
    main()
