"""A pytest plugin: coremltools' own tests on Linux, whose predictions are diptych's. They look for a Mac in many
places, so coremltools is told that this is one. It runs so many cases of each test function, chosen at random, and
writes a line of JSON for each to a log (coremltools_tests.py reads it)."""

import collections
import json
import os
import platform
import random
import sys

import numpy as np
import pytest

import diptych

OPTIONS = "DIPTYCH_COREMLTOOLS_TESTS"  # {"log": file, "seed": number, "each": number}
MACOS = (15, 0)
# How far results in fp16 may be from the expected ones, of the largest; upstream allows much more.
CLOSE = 2e-3

diptych.register_coremltools()
backend = sys.modules["coremltools.libcoremlpython"]
from coremltools.models import utils  # noqa: E402

options = json.loads(os.environ[OPTIONS])
now = {}  # of the test that runs


class Proxy(backend._MLModelProxy):
    def __init__(self, *arguments):
        now["loads"] += 1
        try:
            super().__init__(*arguments)
        except diptych.Error as error:
            now["refused"] = str(error)
            raise

    def predict(self, *arguments):
        now["predicts"] += 1
        return super().predict(*arguments)


def tell_that_this_is_a_mac():
    """Also in the modules that have imported it by name."""
    new = {"_is_macos": lambda: True, "_macos_version": lambda: MACOS, "_IS_MACOS": True, "_MLModelProxy": Proxy}
    backend._MLModelProxy = Proxy
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "coremltools":
            vars(module).update({key: value for key, value in new.items() if key in vars(module)})
    assert utils._is_macos()
    # On x86-64 many tests leave out one of PyTorch's front ends.
    platform.machine = lambda: "arm64"
    for name in ("CPUComputeDevice", "ComputePlan", "GPUComputeDevice", "NeuralEngineComputeDevice"):
        setattr(backend, f"_ML{name}Proxy", type(name, (), {}))


def watch_comparisons():
    """Compares again what was near enough to what was expected, and looks whether it could have been."""
    upstream = np.testing.assert_allclose

    def compare(actual, desired, rtol=1e-7, atol=0, **more):
        got, wanted = (np.asarray(values) for values in (actual, desired))
        try:
            upstream(actual, desired, rtol=rtol, atol=atol, **more)
        except AssertionError:
            if np.float16 in (got.dtype, wanted.dtype) and got.shape == wanted.shape:
                # No fp16 number is near enough, or NumPy has computed in fp16.
                possible = np.allclose(wanted.astype(np.float16), wanted, rtol=rtol, atol=atol)
                rounded = wanted.dtype == np.float16 or not possible
                now["beyond"] = bool(rounded and np.allclose(got, wanted, rtol=CLOSE, atol=CLOSE))
            raise
        if now.get("predicts") and got.dtype.kind == wanted.dtype.kind == "f" and got.size and got.shape == wanted.shape:
            off = np.abs(got.astype(np.float64) - wanted)[np.isfinite(wanted) & np.isfinite(got)]
            largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
            if off.max(initial=0) > CLOSE * max(largest, 1e-3):
                now["far"] = f"{off.max():.3g} of {largest:.3g}"

    np.testing.assert_allclose = compare


def begin():
    now.clear()
    now.update(loads=0, predicts=0, refused="", far="", beyond=False, outcome="", why="")


class Recorder:
    def __init__(self):
        self.log = open(options["log"], "w", buffering=1)  # noqa: SIM115

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        cases = collections.defaultdict(list)
        for item in items:
            cases[item.nodeid.split("[")[0]].append(item)
        draw = random.Random(options["seed"])
        drawn = {item for group in cases.values() for item in draw.sample(group, min(len(group), options["each"]))}
        items[:] = [item for item in items if item in drawn]

    def pytest_runtest_logreport(self, report):
        if report.when == "setup":
            begin()
        if report.when == "call" or report.outcome != "passed":
            now["outcome"] = "xfailed" if hasattr(report, "wasxfail") else report.outcome
            now["why"] = str(report.longrepr or "")[-300:]
        if report.when == "teardown":
            self.log.write(json.dumps({"test": report.nodeid, **now}) + "\n")


def pytest_configure(config):
    begin()
    tell_that_this_is_a_mac()
    watch_comparisons()
    config.pluginmanager.register(Recorder())
