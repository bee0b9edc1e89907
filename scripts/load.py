#!/usr/bin/env python3
"""Load on a server that speaks OpenAI's interface, on loopback: tokens a second and the time to the first one for
1, 4 and 16 clients, then many short requests of which a third is cancelled. Needs Python alone.

  load.py http://127.0.0.1:8080                  the first model
  load.py http://127.0.0.1:8080 --requests 1000  so many short ones
  load.py … --json out.json
"""

import argparse
import http.client
import json
import statistics
import threading
import time
import urllib.parse

PROMPT = "Tell me, in as many words as you like, the story of the village by the sea, its boats and its people. Part {}."


class Client:
    def __init__(self, url, model):
        self.address, self.model = urllib.parse.urlparse(url).netloc, model

    def stream(self, prompt, tokens, leave_after=None):
        """Tokens that came, seconds to the first and in all. Leaves after so many."""
        body = {"model": self.model, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True, "seed": 1}
        connection = http.client.HTTPConnection(self.address, timeout=600)
        start = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read()[:200]}")
        first, count, text = None, 0, ""
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            first = first or time.perf_counter() - start
            count += 1
            text += "".join(choice["text"] for choice in json.loads(line[6:])["choices"])
            if leave_after is not None and count >= leave_after:
                break
        connection.close()
        return count, first or 0, time.perf_counter() - start, text


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
    return {"clients": clients, "tokens_per_second": sum(r[0] for r in results) / seconds,
            "first_token_seconds": statistics.median(r[1] for r in results)}  # fmt: skip


def short_requests(client, count, at_once):
    """Answers to the same prompt are the same text, whoever else is served."""
    wanted, left, lock = {}, list(range(count)), threading.Lock()
    cancelled = 0

    def worker():
        nonlocal cancelled
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            prompt = PROMPT.format(number % 7)
            leave = 2 if number % 3 == 0 else None
            text = client.stream(prompt, 8, leave)[3]
            with lock:
                if leave is not None:
                    cancelled += 1
                elif wanted.setdefault(prompt, text) != text:
                    raise RuntimeError(f"two answers to one prompt: {text!r} and {wanted[prompt]!r}")

    start = time.perf_counter()
    together([worker] * at_once)
    return {"requests": count, "cancelled": cancelled, "seconds": time.perf_counter() - start}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--model", default=None)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--json")
    options = parser.parse_args()
    client = Client(options.url, options.model)
    report = {"clients": []}
    client.stream(PROMPT.format("first"), 4)
    for clients in options.clients:
        report["clients"].append(measure(client, clients, options.tokens))
        print("{clients:3} clients  {tokens_per_second:8.1f} tokens/s  first token after {first_token_seconds:.3f} s".format(
            **report["clients"][-1]), flush=True)  # fmt: skip
    if options.requests:
        report["short"] = short_requests(client, options.requests, 16)
        print("{requests} short requests, {cancelled} of them cancelled: {seconds:.1f} s".format(**report["short"]))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
