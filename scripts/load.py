#!/usr/bin/env python3
"""Load on a server that speaks OpenAI's interface, on loopback: tokens a second, the time to the first one and the
longest silence within a stream for 1, 4 and 16 clients, then many short requests of which a third is cancelled.
Every answer must be the one that the same request got alone. Needs Python alone.

  load.py http://127.0.0.1:8080                  the first model
  load.py http://127.0.0.1:8080 --requests 1000  so many short ones
  load.py … --stall 600                          a stream while prompts of so many words are evaluated beside it
  load.py … --slow 200                           beside so many clients that read next to nothing
  load.py … --minutes 60 --pid 4711              a full queue for an hour, and the memory of process 4711
  load.py … --pid 4711 --reload 20 --stop        which is told to open its files again, and in the end to stop while it answers
  load.py … --json out.json

Where this process itself was stopped for a while (SIGSTOP, a machine that slept) connections may have ended meanwhile:
such requests are asked again and counted apart. Ends with status 1 when an answer was lost or another request's.
"""

import argparse
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import threading
import time
import urllib.parse

PROMPT = "Tell me, in as many words as you like, the story of the village by the sea, its boats and its people. Part {}."


class Refused(Exception):
    """The server asked to come later."""


class Client:
    def __init__(self, url, model):
        self.address, self.model = urllib.parse.urlparse(url).netloc, model

    def body(self, prompt, tokens, seed=None):
        """Greedy, or drawn with a seed."""
        body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0 if seed is None else 1, "stream": True,
                "seed": seed or 1, "ignore_eos": True, "stream_options": {"include_usage": True}}  # fmt: skip
        return json.dumps(body | ({"model": self.model} if self.model else {}))

    def stream(self, prompt, tokens, seed=None, leave_after=None, begun=None):
        """Tokens that came, by the server's own count, seconds to the first and in all, the text, the longest silence
        after the first token. Leaves after so many events; calls begun() when the response begins."""
        connection = http.client.HTTPConnection(self.address, timeout=900)
        start = time.perf_counter()
        try:
            connection.request("POST", "/v1/completions", self.body(prompt, tokens, seed), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status in (429, 503):
                raise Refused
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {response.read()[:200]}")
            if begun:
                begun()
            first, last, silence, events, count, text, whole = None, None, 0, 0, 0, "", False
            for line in response:
                whole = whole or line.startswith(b"data: [DONE]")
                if not line.startswith(b"data: {"):
                    continue
                now = time.perf_counter()
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(f"an error in a stream: {event['error']}")
                count = (event.get("usage") or {}).get("completion_tokens", count)
                if not event["choices"]:
                    continue
                silence = max(silence, now - last) if last else 0
                first, last = first or now - start, now
                events += 1
                text += "".join(choice["text"] for choice in event["choices"])
                if leave_after is not None and events >= leave_after:
                    break
            else:
                if not whole or count != tokens:
                    raise RuntimeError(f"a stream of {tokens} tokens ended after {count}")
        finally:
            connection.close()
        return {"count": count, "first": first or 0, "seconds": time.perf_counter() - start, "text": text,
                "silence": silence}  # fmt: skip

    def open_slowly(self):
        """A connection that has asked for a stream and does not read it."""
        host, port = self.address.split(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = self.body(PROMPT.format("slow"), 400).encode()
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body) + body)  # fmt: skip
        return connection


def together(works):
    """What each of them returned, all at once."""
    results, problems = [None] * len(works), []

    def run(index, work):
        try:
            results[index] = work()
        except Exception as problem:
            problems.append(repr(problem))

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise SystemExit(f"load: {len(problems)} of {len(works)} failed, the first with {problems[0]}")
    return results


def measure(client, clients, tokens):
    start = time.perf_counter()
    results = together([lambda i=i: client.stream(PROMPT.format(i), tokens) for i in range(clients)])
    seconds = time.perf_counter() - start
    return {"clients": clients, "tokens_per_second": sum(r["count"] for r in results) / seconds,
            "first_token_seconds": statistics.median(r["first"] for r in results),
            "longest_silence_seconds": max(r["silence"] for r in results)}  # fmt: skip


class Pauses(threading.Thread):
    """Notes when this process stood still: what the server did meanwhile took no time for it."""

    LONG = 5  # seconds; no thread waits for so long otherwise
    AFTER = 120  # a server's limits may strike so much later

    def __init__(self):
        super().__init__(daemon=True)
        self.count, self.last = 0, -1e9
        self.start()

    def run(self):
        before = time.monotonic()
        while True:
            time.sleep(0.5)
            now = time.monotonic()
            if now - before > self.LONG:
                self.count, self.last = self.count + 1, now
            before = now

    def excuse(self, start):
        """Whether what began at `start` and fails now may have failed for a pause."""
        time.sleep(1)  # one that is just over is noted
        return self.last > start - self.AFTER


class Load:
    """Short requests of some kinds, each of which always gets the same answer."""

    KINDS = 48

    def __init__(self, client, pauses):
        self.client, self.pauses, self.lock, self.numbers = client, pauses, threading.Lock(), itertools.count()
        self.done = dict.fromkeys(("requests", "cancelled", "refused", "again", "lost", "crossed"), 0)
        self.problems = []
        self.wanted = [self.ask_patiently(kind) for kind in range(self.KINDS)]  # alone, one by one

    def ask(self, kind, **how):
        return self.client.stream(PROMPT.format(kind % 7), 8 + 8 * (kind % 3), seed=kind + 1, **how)

    def ask_patiently(self, kind):
        while True:
            try:
                return self.ask(kind)["text"]
            except Refused:
                time.sleep(0.2)

    def count(self, what, problem=None):
        with self.lock:
            self.done[what] += 1
            if problem:
                self.problems.append(problem)

    def one(self, number):
        """Asks until there is an answer; every third one leaves after two tokens."""
        kind, leaves = number % self.KINDS, number % 3 == 0
        while True:
            start = time.monotonic()
            try:
                text = self.ask(kind, leave_after=2 if leaves else None)["text"]
            except Refused:
                self.count("refused")
                time.sleep(0.2)
                continue
            except Exception as problem:  # whatever a connection may end with
                if self.pauses.excuse(start):
                    self.count("again")
                    continue
                return self.count("lost", repr(problem))
            if leaves:
                return self.count("cancelled")
            if text != self.wanted[kind]:
                return self.count("crossed", f"{text!r} in place of {self.wanted[kind]!r}")
            return None

    def run(self, at_once, count=None, until=None):
        """So many requests, or as many as there is time for."""

        def worker():
            while until is None or time.perf_counter() < until:
                number = next(self.numbers)
                if count is not None and number >= count:
                    return
                self.count("requests")
                self.one(number)

        start = time.perf_counter()
        together([worker] * at_once)
        return self.done | {"seconds": time.perf_counter() - start, "kinds": len(set(self.wanted))}


def stall(client, words, tokens):
    """The longest silence of a stream while long prompts, none of which begins as another, come beside it."""
    stopped = threading.Event()

    def prompts():
        number = 0
        while not stopped.is_set():
            number += 1
            client.stream(" ".join(f"{number}{word % 10}" for word in range(words)), 1)

    thread = threading.Thread(target=prompts)

    def stream():
        try:
            return client.stream(PROMPT.format("stall"), tokens)
        finally:
            stopped.set()

    thread.start()
    result = stream()
    thread.join()
    return {"prompt_words": words, "longest_silence_seconds": result["silence"],
            "tokens_per_second": result["count"] / result["seconds"]}  # fmt: skip


def memory_of(pid):
    """Resident MiB."""
    if pid is None:
        return 0
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmRSS"))


def soak(load, minutes, at_once, pid):
    """A full queue; the memory from time to time and at the end."""
    memory = {}
    marks = [mark for mark in (1, 5, 15, 30, 45, 60, 120, 240) if mark < minutes] if pid else []
    start, over = time.perf_counter(), threading.Event()

    def watch():
        for mark in marks:
            if over.wait(max(0, start + 60 * mark - time.perf_counter())):
                return
            memory[mark] = memory_of(pid)
            print(f"after {mark} minutes: resident {memory[mark]} MiB, {load.done}", flush=True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        row = load.run(at_once, until=start + 60 * minutes)
    finally:
        over.set()
        watcher.join()
    return row | {"minutes": minutes, "memory_mib": memory | {round(minutes, 2): memory_of(pid)}, "pauses": load.pauses.count}


def reload_every(pid, seconds, over):
    while not over.wait(seconds):
        os.kill(pid, signal.SIGHUP)


def stop(client, pid, tokens):
    """SIGTERM while answers stream: each of them is whole."""
    streams = 8
    begun = threading.Barrier(streams + 1, timeout=300)
    works = [lambda i=i: client.stream(PROMPT.format(i), tokens, begun=begun.wait) for i in range(streams)]

    def end():
        begun.wait()
        os.kill(pid, signal.SIGTERM)

    together([*works, end])
    return {"streams": streams, "tokens": tokens}


def show(text, row):
    print(text.format(**row), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--model", default=None)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",") if n], default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--stall", type=int, metavar="WORDS")
    parser.add_argument("--slow", type=int, metavar="CLIENTS", default=0)
    parser.add_argument("--minutes", type=float, help="short requests for so long")
    parser.add_argument("--at-once", type=int, default=32, help="of these; more than a server's slots and queue hold are refused")
    parser.add_argument("--pid", type=int, help="of the server")
    parser.add_argument("--reload", type=float, metavar="SECONDS", help="send it SIGHUP again and again")
    parser.add_argument("--stop", action="store_true", help="send it SIGTERM in the end, while answers stream")
    parser.add_argument("--json")
    options = parser.parse_args()
    if (options.reload or options.stop) and not options.pid:
        parser.error("--reload and --stop need --pid")
    client, pauses = Client(options.url, options.model), Pauses()
    report, over = {"clients": []}, threading.Event()
    client.stream(PROMPT.format("first"), 4)
    slow = [client.open_slowly() for _ in range(options.slow)]
    if slow:
        print(f"beside {len(slow)} clients that do not read", flush=True)
    if options.reload:
        threading.Thread(target=reload_every, args=(options.pid, options.reload, over), daemon=True).start()
    for clients in options.clients:
        report["clients"].append(
            show("{clients:3} clients  {tokens_per_second:8.1f} tokens/s  first token after {first_token_seconds:.3f} s  "
                 "longest silence {longest_silence_seconds:.3f} s", measure(client, clients, options.tokens)))  # fmt: skip
    if options.stall:
        report["stall"] = show("a stream beside prompts of {prompt_words} words: longest silence "
                               "{longest_silence_seconds:.3f} s, {tokens_per_second:.1f} tokens/s",
                               stall(client, options.stall, options.tokens))  # fmt: skip
    asked = ("{requests} short requests of {kinds} answers: {cancelled} cancelled, {refused} times refused, {again} asked "
             "again, {lost} lost, {crossed} crossed")  # fmt: skip
    loads = []
    if options.requests:
        loads.append(Load(client, pauses))
        report["short"] = show(asked + "; {seconds:.1f} s", loads[-1].run(16, options.requests))
    if options.minutes:
        loads.append(Load(client, pauses))
        report["soak"] = show(asked + "; {minutes:.2g} minutes, {pauses} pauses, resident MiB by minute {memory_mib}",
                              soak(loads[-1], options.minutes, options.at_once, options.pid))  # fmt: skip
    over.set()
    for connection in slow:
        connection.close()
    if options.stop:
        report["stop"] = show("stopped while {streams} answers of {tokens} tokens streamed: each was whole",
                              stop(client, options.pid, options.tokens))  # fmt: skip
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)
    problems = [problem for load in loads for problem in load.problems]
    if problems:
        raise SystemExit(f"load: {len(problems)} answers were lost or another's, the first: {problems[0]}")


if __name__ == "__main__":
    main()
