#!/usr/bin/env python3
"""Time, peak memory and size of an export, beside its dry run and, if asked for, upstream's exporter.

  export_bench.py DIPTYCH [--shape 1b] [--form hf] [--work DIR] [--upstream PYTHON] [--keep]

Writes a random bf16 checkpoint of the shape (1b: 2.5 GB, 8b: 16 GB) into DIR, exports it as multifunction fp16 c4w and
prints one row per exporter. PYTHON is that of the reference environment (scripts/setup-reference.sh); upstream's exporter
takes many minutes and several times the checkpoint in memory, and reads Meta's form. Peak memory is the process's largest
resident set; pages of the mapped checkpoint count for it, so diptych's own memory is less.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPTIONS = ["--recipe", "upstream", "--no_check", "--multifunction", "--dtype", "fp16", "-E", "8,0", "--linear_quantize", "c4w", "--max_context_len", "1024"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("diptych", type=Path)
    parser.add_argument("--shape", default="1b")
    parser.add_argument("--form", choices=["meta", "hf", "gguf"], default="hf")
    parser.add_argument("--work", type=Path, help="default: a temporary directory")
    parser.add_argument("--upstream", type=Path, metavar="PYTHON")
    parser.add_argument("--keep", action="store_true", help="leave the files in the work directory")
    return parser.parse_args()


def measured(command):
    """Wall-clock seconds, processor seconds and peak resident bytes of a command."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"export_bench: failed: {' '.join(str(part) for part in command)}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def row(name, seconds, processor, peak, size):
    print(f"{name:10}{seconds:10.1f} s{processor:10.1f} s{peak / 2**20:10.0f} MiB{size:>16,}", flush=True)


def main():
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="export_bench_"))
    model = work / f"{options.shape}_{options.form}"
    run = [options.diptych, "synth", "--shape", options.shape, "--format", options.form, "-o", model]
    if not model.exists():
        measured(run)
    print(f"{'':10}{'wall':>12}{'processor':>12}{'peak memory':>14}{'bytes':>16}")
    export = [options.diptych, "export", model, *OPTIONS]
    dry = subprocess.run([*map(str, export), "--dry_run"], capture_output=True, text=True, check=True)
    ours = work / "diptych.pte"
    row("diptych", *measured([*export, "-o", ours]), ours.stat().st_size)
    foretold = int(dry.stdout)
    print(f"{'dry run':48}{foretold:>16,}  ({foretold / ours.stat().st_size - 1:+.2%})")
    if options.upstream:
        theirs = work / "upstream.pte"
        module = "executorch.examples.apple.coreml.llama.export_static_llm_coreml"
        source = ["-c", model / "model.pth", "-p", model / "params.json", "-o", theirs]
        row("upstream", *measured([options.upstream, "-m", module, *source, *OPTIONS]), theirs.stat().st_size)
    if not options.keep:
        shutil.rmtree(model)
        ours.unlink()


if __name__ == "__main__":
    main()
