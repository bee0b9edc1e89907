"""ExecuTorch's own tests of its Core ML backend (backends/apple/coreml/test of the installed release), run to
their end through the plug-in. Where their files are imported they look for a Mac, so this process says it is one
just then. Numerics are run.py's, precise: those of "fast" are within upstream's tolerance of int4 weights most of the
time only."""

import importlib.machinery
import importlib.util
import platform
import sys
import time
import types
import unittest

from report import Row

PACKAGE = "executorch.backends.apple.coreml.test"
# test_coreml_quantizer runs no program.
FILES = ["test_torch_ops", "test_coreml_recipes", "test_coreml_multifunction", "test_coreml_partitioner",
         "test_enumerated_shapes"]  # fmt: skip
MACOS = "15.0"
# Tests that are not run, and what they need.
NEEDS = {
    "test_vit_skip_conv": "torchvision with weights from the network",
}
# Tests that cannot pass yet, and why.
SECOND_PART = {"test_e2e": "a choice of shapes"}


def imported():
    """The files' modules, imported as on a Mac."""
    if importlib.util.find_spec("torchvision") is None:
        absent = types.ModuleType("torchvision")  # one test uses it
        absent.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        sys.modules["torchvision"] = absent
    for name in ("torch", "coremltools", "executorch.exir", "executorch.runtime", "executorch.export"):
        importlib.import_module(name)  # these must not be told
    system, version = sys.platform, platform.mac_ver
    sys.platform, platform.mac_ver = "darwin", lambda: (MACOS, ("", "", ""), "arm64")
    try:
        return [importlib.import_module(f"{PACKAGE}.{name}") for name in FILES]
    finally:
        sys.platform, platform.mac_ver = system, version


def tests_of(suite):
    for entry in suite:
        yield from tests_of(entry) if isinstance(entry, unittest.TestSuite) else [entry]


def problem_of(test):
    """What a test says is wrong; "" when it passes."""
    result = unittest.TestResult()
    test.run(result)
    problems = [text for _, text in result.errors + result.failures]
    problems += [f"skipped: {why}" for _, why in result.skipped]
    return problems[0].strip().splitlines()[-1] if problems else ""


def rows(context):
    import diptych

    diptych.register()
    for module in imported():
        for test in tests_of(unittest.defaultTestLoader.loadTestsFromModule(module)):
            name = test.id().split(".")[-1]
            case = f"{module.__name__.split('.')[-1]}: {name}"
            if name in NEEDS:
                yield Row(case, True, note=f"not run: needs {NEEDS[name]}")
                continue
            start = time.time()
            problem = problem_of(test)
            expected = SECOND_PART.get(name)
            note = f"refused as it should be: {expected}" if expected and problem else problem
            yield Row(case, not problem or bool(expected), seconds=time.time() - start, note=note[:150])
