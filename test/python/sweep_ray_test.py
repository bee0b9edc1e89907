"""A sweep on a Ray cluster of three nodes on this machine, each in a process group of its own, gives the table of a local
sweep, bit for bit: with a node killed on the way and one added. Skipped where Ray is not installed; the 24 rows of two
models where $DIPTYCH_SWEEP_GGUF names no second one."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from sweeping import HEAD, RECIPES, Directory, texts

MORE = """
[recipes.eight]
recipe = "upstream"
multifunction = true
linear_quantize = "c8w"
"""
# Two models by six recipes on two texts. Recipes that round, so that exports take seconds.
SECOND = """
[models.second]
checkpoint = "GGUF"
max_context_len = 64
"""
SIX = "[recipes.none]\nrecipe = 'none'\n" + "".join(
    f"[recipes.{form}-{how}]\nrecipe = 'upstream'\nmultifunction = true\nlinear_quantize = '{form}'\n"
    f"quant_algorithm = '{how}'\n"
    for form, how in (("c4w", "rtn"), ("c8w", "rtn"), ("b4w", "rtn"), ("b4w", "mse"), ("c8w", "mse"))
)
QUICK = "[measure]\nverify = false\n"


class Node:
    """`ray start` with one CPU, as a process group; it is up once it says so."""

    def __init__(self, directory, *options):
        own = Path(directory, f"node-{time.monotonic_ns()}")
        self.log = open(own.with_suffix(".log"), "w")
        ray = Path(sys.executable).with_name("ray")
        command = [ray, "start", "--block", "--num-cpus=1", f"--memory={2 << 30}", f"--object-store-memory={100 << 20}",
                   "--disable-usage-stats", *options]  # fmt: skip
        # Of a loaded machine's time work gets as much as other processes.
        environment = {**os.environ, "RAY_worker_niceness": "0", "DIPTYCH_SWEEP_DIR": str(own)}
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip

    def said(self):
        return Path(self.log.name).read_text()

    def starts(self):
        """Waits until it is up, or has ended."""
        while "Ray runtime started" not in self.said():
            if self.process.poll() is not None:
                return False
            time.sleep(0.2)
        return True

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()


@unittest.skipUnless(importlib.util.find_spec("ray"), "Ray is not installed: pip install ray")
class Cluster(Directory):
    """A cluster of one node, and means to add others."""

    def setUp(self):
        super().setUp()
        kept = tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)
        self.addCleanup(kept.cleanup)
        self.temporary = kept.name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.nodes = []
        self.addCleanup(lambda: [node.kill() for node in self.nodes])
        port = self.address.split(":")[1]
        self.start_node("--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false",
                        f"--temp-dir={self.temporary}")  # fmt: skip

    def start_node(self, *options):
        """Tries more than once: Ray gives a node 30 s, which is short on a loaded machine."""
        for _ in range(10):
            node = Node(self.temporary, *options)
            self.nodes.append(node)
            if node.starts():
                return
            self.nodes.remove(node)
            node.kill()
        self.fail(f"a node did not start: {node.said()[-300:]}")

    def add_node(self):
        self.start_node(f"--address={self.address}")

    def one_lost_one_added(self, *parts, results):
        """A plan's table of a local sweep is that of one on three nodes, of which one is killed after some results."""
        self.sweep(self.plan(*parts, name="local.toml"))
        plan = self.plan(*parts)
        self.add_node()
        self.add_node()
        process = self.under_way(plan, "--ray", self.address, results=results)
        lost = self.nodes.pop(1)
        self.assertEqual((process.poll(), lost.process.poll()), (None, None), "the sweep and the node are under way")
        lost.kill()
        self.add_node()
        _, err = process.communicate()
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.qualities(), self.qualities("local"))
        done = self.log()
        self.assertIn(" 0 pieces of work", self.sweep(plan, "--ray", self.address))
        self.assertEqual(self.log(), done)


class Rays(Cluster):
    def test_a_node_lost_and_a_node_added(self):
        parts = (HEAD, RECIPES, MORE, texts(3), texts(lines=6).replace("story]", "short]"), QUICK)
        self.one_lost_one_added(*parts, results=3)

    def test_files_are_sent(self):
        parts = (HEAD, RECIPES, texts(2), QUICK)
        self.sweep(self.plan(*parts, name="local.toml"))
        self.sweep(self.plan(*parts), "--ray", self.address, "--ship")
        self.assertEqual(self.qualities(), self.qualities("local"))
        self.assertFalse((self.directory / "plan" / "exports").exists())

    def test_interrupted_and_resumed(self):
        parts = (HEAD, RECIPES, texts(4), QUICK)
        self.sweep(self.plan(*parts, name="local.toml"))
        plan = self.plan(*parts)
        process = self.under_way(plan, "--ray", self.address)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        self.assertEqual(process.returncode, 130, err)
        self.sweep(plan, "--ray", self.address)
        self.assertEqual(self.qualities(), self.qualities("local"))

    def test_the_head_is_lost(self):
        """What is done is kept; the sweep may go on elsewhere."""
        parts = (HEAD, RECIPES, texts(4), QUICK)
        self.sweep(self.plan(*parts, name="local.toml"))
        plan = self.plan(*parts)
        process = self.under_way(plan, "--ray", self.address)
        self.nodes.pop(0).kill()
        _, err = process.communicate()
        self.assertNotEqual(process.returncode, 0, err)
        done = self.log()
        self.assertGreaterEqual(len(done), 2)
        self.sweep(plan)
        self.assertEqual(self.log()[: len(done)], done)
        self.assertEqual(self.qualities(), self.qualities("local"))

    def test_no_cluster(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            err = self.sweep(self.plan(HEAD, RECIPES), "--ray", f"127.0.0.1:{free.getsockname()[1]}", status=2)
        self.assertIn("--ray 127.0.0.1:", err.splitlines()[-1])


@unittest.skipUnless(os.environ.get("DIPTYCH_SWEEP_GGUF"), "DIPTYCH_SWEEP_GGUF names no second model")
class Models(Cluster):
    def test_24_rows(self):
        second = SECOND.replace("GGUF", os.environ["DIPTYCH_SWEEP_GGUF"])
        two = texts(3, lines=9) + texts(2, lines=6).replace("story]", "short]")
        self.one_lost_one_added(HEAD, second, SIX, two, QUICK, results=20)
        self.assertEqual(len(self.table()), 24)


if __name__ == "__main__":
    unittest.main()
