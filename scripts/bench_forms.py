#!/usr/bin/env python3
"""What the forms that fp16 holds cost on the engine: `--norm safe` and `--mask finite` beside the plain ones.

  scripts/bench_forms.py                           the 110m shape; minutes on an idle machine
  scripts/bench_forms.py --shape 1b --rounds 9

Random weights of the shape, exported once with each form. Each round runs every test once with each file, on one
thread, one after the other, and takes the CPU time of the process beyond that of a run that decodes one token; the
figure of a file is the median of its rounds. So what else the machine does changes little, but for caches.
"""
import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORMS = {
    "plain": ["--norm", "plain", "--mask", "inf"],
    "safe norm": ["--norm", "safe", "--mask", "inf"],
    "finite mask": ["--norm", "plain", "--mask", "finite"],
    "both": ["--norm", "safe", "--mask", "finite"],
}
# Arguments of bench: prompts and decoded tokens, each many times what is loaded.
TESTS = {"prefill of 512": ["-p", "512", "-n", "0", "-r", "4"], "decoding 256": ["-p", "0", "-n", "256", "-r", "2"]}
EMPTY = ["-p", "0", "-n", "1", "-r", "1"]


def cpu_seconds(command):
    """CPU time of a command, that of its threads included."""
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"bench_forms: status {status}: {' '.join(map(str, command))}\n{error.strip()[-800:]}")
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="110m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--diptych", type=Path, default=ROOT / "build" / "release" / "bin" / "diptych")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench_forms")
    options = parser.parse_args()
    model = options.work / options.shape
    if not (model / "model.pth").exists():
        cpu_seconds([options.diptych, "synth", "--shape", options.shape, "-o", model, "--force"])
    files = {}
    for form, arguments in FORMS.items():
        files[form] = options.work / f"{options.shape} {form}.pte"
        if not files[form].exists():
            cpu_seconds([options.diptych, "export", "-c", model / "model.pth", "-p", model / "params.json", "-o", files[form],
                         "--max_context_len", 1024, "--multifunction", *arguments])
    seconds = {(test, form): [] for test in TESTS for form in FORMS}
    for number in range(options.rounds):
        for test, arguments in TESTS.items():
            for form, file in files.items():
                bench = [options.diptych, "bench", file, "-t", 1, "--json"]
                seconds[test, form].append(cpu_seconds(bench + arguments) - cpu_seconds(bench + EMPTY))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print("| | form | CPU time, s | beside plain |\n| --- | --- | --- | --- |")
    for test in TESTS:
        plain = statistics.median(seconds[test, "plain"])
        for form in FORMS:
            median = statistics.median(seconds[test, form])
            print(f"| {test} | {form} | {median:.3f} | {100 * (median / plain - 1):+.1f} % |")


if __name__ == "__main__":
    main()
