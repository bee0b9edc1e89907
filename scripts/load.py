#!/usr/bin/env python3
"""Load on a server that speaks OpenAI's interface, on loopback: tokens a second, the time to the first one and the
longest silence within a stream for 1, 4 and 16 clients, then many short requests of which a third is cancelled.
Every answer to a prompt must be the same text. Needs Python alone.

  load.py http://127.0.0.1:8080                  the first model
  load.py http://127.0.0.1:8080 --requests 1000  so many short ones
  load.py … --stall 600                          a stream while prompts of so many words are evaluated beside it
  load.py … --slow 200                           beside so many clients that read next to nothing
  load.py … --minutes 60 --pid 4711              a full queue for an hour, and the memory of process 4711
  load.py … --json out.json
"""

import argparse
import http.client
import json
import socket
import statistics
import threading
import time
import urllib.parse

PROMPT = "Tell me, in as many words as you like, the story of the village by the sea, its boats and its people. Part {}."


class Client:
    def __init__(self, url, model):
        self.address, self.model = urllib.parse.urlparse(url).netloc, model

    def body(self, prompt, tokens):
        body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True, "seed": 1, "ignore_eos": True,
                "stream_options": {"include_usage": True}}  # fmt: skip
        return json.dumps(body | ({"model": self.model} if self.model else {}))

    def stream(self, prompt, tokens, leave_after=None):
        """Tokens that came, by the server's own count, seconds to the first and in all, the text, the longest silence
        after the first token. Leaves after so many events."""
        connection = http.client.HTTPConnection(self.address, timeout=600)
        start = time.perf_counter()
        connection.request("POST", "/v1/completions", self.body(prompt, tokens), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read()[:200]}")
        first, last, silence, events, count, text = None, None, 0, 0, 0, ""
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            now = time.perf_counter()
            event = json.loads(line[6:])
            count = (event.get("usage") or {}).get("completion_tokens", count)
            if not event["choices"]:
                continue
            silence = max(silence, now - last) if last else 0
            first, last = first or now - start, now
            events += 1
            text += "".join(choice["text"] for choice in event["choices"])
            if leave_after is not None and events >= leave_after:
                break
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
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
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


class Answers:
    """Answers to the same prompt are the same text, whoever else is served."""

    def __init__(self):
        self.wanted, self.lock = {}, threading.Lock()

    def check(self, prompt, text):
        with self.lock:
            if self.wanted.setdefault(prompt, text) != text:
                raise RuntimeError(f"two answers to one prompt: {text!r} and {self.wanted[prompt]!r}")


def short_requests(client, count, at_once, until=None):
    """So many requests, or as many as there is time for; every third leaves after two tokens."""
    answers, lock, numbers = Answers(), threading.Lock(), iter(range(count))
    done = {"requests": 0, "cancelled": 0}

    def worker():
        while until is None or time.perf_counter() < until:
            with lock:
                number = next(numbers, None)
                if number is None:
                    return
                done["requests"] += 1
                done["cancelled"] += number % 3 == 0
            prompt = PROMPT.format(number % 7)
            if number % 3 == 0:
                client.stream(prompt, 8, leave_after=2)
            else:
                answers.check(prompt, client.stream(prompt, 8)["text"])

    start = time.perf_counter()
    together([worker] * at_once)
    return done | {"seconds": time.perf_counter() - start}


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
        return None
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmRSS"))


def soak(client, minutes, pid):
    """A full queue; the memory after a tenth of the time and at the end."""
    start = time.perf_counter()
    early = short_requests(client, 1 << 60, 32, start + 6 * minutes)
    before = memory_of(pid)
    late = short_requests(client, 1 << 60, 32, start + 60 * minutes)
    return {"minutes": minutes, "requests": early["requests"] + late["requests"], "memory_mib_early": before,
            "memory_mib": memory_of(pid)}  # fmt: skip


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
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--json")
    options = parser.parse_args()
    client = Client(options.url, options.model)
    report = {"clients": []}
    client.stream(PROMPT.format("first"), 4)
    slow = [client.open_slowly() for _ in range(options.slow)]
    if slow:
        print(f"beside {len(slow)} clients that do not read", flush=True)
    for clients in options.clients:
        report["clients"].append(
            show("{clients:3} clients  {tokens_per_second:8.1f} tokens/s  first token after {first_token_seconds:.3f} s  "
                 "longest silence {longest_silence_seconds:.3f} s", measure(client, clients, options.tokens)))  # fmt: skip
    if options.stall:
        report["stall"] = show("a stream beside prompts of {prompt_words} words: longest silence "
                               "{longest_silence_seconds:.3f} s, {tokens_per_second:.1f} tokens/s",
                               stall(client, options.stall, options.tokens))  # fmt: skip
    if options.requests:
        report["short"] = show("{requests} short requests, {cancelled} of them cancelled: {seconds:.1f} s",
                               short_requests(client, options.requests, 16))  # fmt: skip
    if options.minutes:
        report["soak"] = show("{requests} requests in {minutes} minutes; resident {memory_mib_early} MiB early, {memory_mib} "
                              "at the end", soak(client, options.minutes, options.pid))  # fmt: skip
    for connection in slow:
        connection.close()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
