#!/usr/bin/env python3
"""What the forms that fp16 holds cost on the engine: `--norm safe` and `--mask finite` beside the plain ones.

  scripts/bench_forms.py                           the 110m shape; minutes on an idle machine
  scripts/bench_forms.py --shape 1b --rounds 9

Random weights of the shape, exported once with each form. Each round runs every test once with each file, on one
thread, one after the other, another one first in each round. The figure of a file is the median, over the rounds, of
its time beside the plain file's in the same round.
"""
import argparse
import json
import statistics
from pathlib import Path

from peers import progress, run

ROOT = Path(__file__).resolve().parent.parent
FORMS = {
    "plain": ["--norm", "plain", "--mask", "inf"],
    "safe norm": ["--norm", "safe", "--mask", "inf"],
    "finite mask": ["--norm", "plain", "--mask", "finite"],
    "both": ["--norm", "safe", "--mask", "finite"],
}
# Arguments of bench.
TESTS = {"prefill of 512": ["-p", "512", "-n", "0", "-r", "4"], "decoding 256": ["-p", "0", "-n", "256", "-r", "2"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="110m")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--diptych", type=Path, default=ROOT / "build" / "release" / "bin" / "diptych")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench_forms")
    options = parser.parse_args()
    model = options.work / options.shape
    if not (model / "model.pth").exists():
        run([options.diptych, "synth", "--shape", options.shape, "-o", model, "--force"])
    files = {}
    for form, arguments in FORMS.items():
        files[form] = options.work / f"{options.shape} {form}.pte"
        if not files[form].exists():
            run([options.diptych, "export", "-c", model / "model.pth", "-p", model / "params.json", "-o", files[form],
                 "--max_context_len", 1024, "--multifunction", *arguments])
    speeds = {(test, form): [] for test in TESTS for form in FORMS}
    for number in range(options.rounds):
        forms = list(FORMS)
        forms = forms[number % len(forms):] + forms[:number % len(forms)]
        for test, arguments in TESTS.items():
            for form in forms:
                bench = [options.diptych, "bench", files[form], "-t", 1, "--json", *arguments]
                speeds[test, form].append(json.loads(run(bench))[0]["median"])
        progress(f"round {number + 1} of {options.rounds}")
    print("| | form | tok/s | time beside plain |\n| --- | --- | --- | --- |")
    for test in TESTS:
        for form in FORMS:
            ratio = statistics.median(plain / own for plain, own in zip(speeds[test, "plain"], speeds[test, form]))
            print(f"| {test} | {form} | {statistics.median(speeds[test, form]):.1f} | {100 * (ratio - 1):+.1f} % |")


if __name__ == "__main__":
    main()
