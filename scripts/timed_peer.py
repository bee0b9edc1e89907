"""What the peers of bench_peers.py have in common: tests by name, each done once untimed before it is measured for the
first time, asked for and answered in lines. Needs Python alone, as each peer has an environment of its own."""
import json
import resource
import sys
import time


def parse_test(test):
    """"pp512" or "tg64@512": whether it is a prompt, its tokens, and those that come before."""
    count, depth = (int(n) for n in (test[2:] + "@0").split("@")[:2])
    return test.startswith("pp"), count, depth


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Timed:
    """A model that measures itself. sequences(tokens) yields an empty sequence with room for so many, again and again
    until it is closed; feed(sequence, tokens) evaluates so many random ones."""

    def __init__(self):
        self.warm = set()
        self.facts = {}  # told with each measurement

    def measure(self, test):
        """Tokens per second."""
        is_prompt, count, depth = parse_test(test)
        seconds, sequences = 0, self.sequences(count + depth)
        for _ in range(1 if test in self.warm else 2):
            sequence = next(sequences)
            if depth:
                self.feed(sequence, depth)
            start = time.perf_counter()
            for _ in range(1 if is_prompt else count):
                self.feed(sequence, count if is_prompt else 1)
            seconds = time.perf_counter() - start
        sequences.close()
        self.warm.add(test)
        return {"tokens_per_second": count / seconds, "peak_memory_bytes": peak_bytes(), **self.facts}


def serve(model):
    """Measures the tests that stdin names, line by line; each gets a line of JSON."""
    for line in sys.stdin:
        print(json.dumps(model.measure(line.strip())), flush=True)
