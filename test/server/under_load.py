#!/usr/bin/env python3
"""A server under load: two models, clients that leave and clients that do not read, files opened again meanwhile
(SIGHUP), the endpoints that look into it, and a stop in order while answers stream. No answer may be lost or another
one's, and the server must end with status 0, which it does not where a sanitizer has something to say.

  under_load.py DIPTYCH [SECONDS]
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
INSIDE = ["/health", "/metrics", "/slots", "/props", "/v1/models", "/", "/nowhere"]


def address_of(server, log):
    while server.poll() is None:
        for line in log.read_text().splitlines():
            if "listening on " in line:
                return line.partition("listening on ")[2]
        time.sleep(0.1)
    sys.exit(f"under_load: the server ended with status {server.returncode}:\n{log.read_text()[-4000:]}")


def look_inside(url, over):
    while not over.wait(0.05):
        for path in INSIDE:
            with contextlib.suppress(OSError):  # what is not there, and a server that is busy
                urllib.request.urlopen(url + path, timeout=60).read()


def load(url, pid, *options):
    return subprocess.Popen([sys.executable, str(ROOT / "scripts" / "load.py"), url, "--clients", "", "--requests", "0",
                             "--pid", str(pid), *map(str, options)])  # fmt: skip


def under_load(server, log, seconds):
    url, over = address_of(server, log), threading.Event()
    looking = threading.Thread(target=look_inside, args=(url, over))
    looking.start()
    try:
        loads = [load(url, server.pid, "--minutes", seconds / 60, "--at-once", 20, "--slow", 8, "--reload", seconds / 6),
                 load(url, server.pid, "--minutes", seconds / 60, "--at-once", 6, "--model", "other")]  # fmt: skip
        loads_are_well = all([process.wait() == 0 for process in loads])
    finally:
        over.set()
        looking.join()
    stops_well = load(url, server.pid, "--tokens", 200, "--stop").wait() == 0
    status = server.wait(600)
    said = [line for line in log.read_text().splitlines() if not line.startswith("{")]
    reloads = sum("opened again" in line for line in said)
    print(f"{reloads} reloads; the server ended with status {status}")
    if status != 0 or reloads == 0 or not loads_are_well or not stops_well:
        sys.exit("\n".join(said[-400:]))


def main():
    diptych, seconds = sys.argv[1], float((sys.argv + ["20"])[2])
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        log, models = work / "log", [work / "demo.pte", work / "other.pte"]
        subprocess.run([diptych, "export", "-c", DEMO / "model.pth", "-p", DEMO / "params.json", "-o", models[0], "--no_check",
                        "--max_context_len", "512", "--input_len", "32", "--multifunction"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        shutil.copy(models[0], models[1])
        with open(log, "w") as out:
            server = subprocess.Popen([diptych, "serve", *models, "--port", "0", "--threads", "2", "--slots", "3", "--max_queue",
                                       "12", "--drain", "300", "--session_dir", work / "sessions"], stderr=out)  # fmt: skip
        try:
            under_load(server, log, seconds)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
