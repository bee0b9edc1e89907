"""ExecuTorch's own debugging tools through the plug-in: ETDump and the Inspector list the steps of our plan, and the
example of the intermediate-output tap, a small static Llama, runs as it is."""

import re
import time

import upstream
from context import python
from report import Row

# Runs one call of a method with zeros and writes its ETDump, then lists what the Inspector has of delegates.
SCRIPT = """
import sys
import torch
import diptych
diptych.register()
from executorch.extension.pybindings.portable_lib import _load_for_executorch
from executorch.devtools import Inspector

path, dump, method = sys.argv[1:]
module = _load_for_executorch(path, enable_etdump=True)
meta = module.method_meta(method)
types = {3: torch.int32, 4: torch.int64, 5: torch.float16, 6: torch.float32}
inputs = []
for i in range(meta.num_inputs()):
    info = meta.input_tensor_meta(i)
    inputs.append(torch.zeros(info.sizes(), dtype=types[info.dtype()]))
module.run_method(method, inputs)
module.write_etdump_result_to_file(dump)
for block in Inspector(etdump_path=dump).event_blocks:
    for event in block.events:
        if event.is_delegated_op:
            times = event.perf_data.raw if event.perf_data else []
            print("step", event.name, sum(times))
"""

# Runs the tap's example of Core ML, a unit test that is skipped where there is no macOS 15: what asks for the system
# asks while the module is imported.
TAP = """
import importlib
import platform
import sys
import unittest
import coremltools
import pandas
import torch
import diptych
diptych.register()
from executorch.devtools import backend_debug
from executorch.runtime import Runtime

told = sys.platform, platform.mac_ver
sys.platform, platform.mac_ver = "darwin", lambda: ("15.0", ("", "", ""), "arm64")
try:
    example = importlib.import_module("executorch.devtools.intermediate_output_tap.tests.test_coreml_e2e")
finally:
    sys.platform, platform.mac_ver = told
done = unittest.TextTestRunner(stream=sys.stdout).run(unittest.defaultTestLoader.loadTestsFromModule(example))
print("ran", done.testsRun, "skipped", len(done.skipped))
sys.exit(not done.wasSuccessful())
"""


def rows(context):
    start = time.time()
    path = context.export(context.demo, upstream.variants()[0])
    out = python(context, "-c", SCRIPT, path, context.work / "steps.etdp", "forward")
    steps = re.findall(r"^step (\S+) '?([^']*)'? ([0-9.e-]+)$", out, re.M)
    kinds = {kind for kind, _, _ in steps}
    timed = sum(float(milliseconds) for _, _, milliseconds in steps)
    yield Row(
        "ETDump and Inspector list the delegate's steps",
        len(steps) > 10 and any("linear" in kind for kind in kinds) and timed > 0,
        seconds=time.time() - start,
        note=f"{len(steps)} steps, {timed:.2f} ms",
    )
    start = time.time()
    out = python(context, "-c", TAP)
    taps = re.search(r"^(\d+) tap\(s\)", out, re.M)
    yield Row(
        "the example of the intermediate-output tap",
        "ran 1 skipped 0" in out and taps is not None,
        seconds=time.time() - start,
        note=f"{taps.group(1)} values as in eager PyTorch, of 3 delegates" if taps else out.strip()[-200:],
    )
