"""The C++ example: a host of its own, built by CMake against stock ExecuTorch and the plug-in."""

import importlib.util
import tempfile
import time
from pathlib import Path

import upstream
from context import LIBRARY, ROOT, run
from report import Row


def rows(context):
    start = time.time()
    package = importlib.util.find_spec("executorch").submodule_search_locations[0]
    model = context.export(context.demo, upstream.Variant("multi", "fp16", "c4w", "8,0"))
    with tempfile.TemporaryDirectory() as build:
        prefix = f"-DCMAKE_PREFIX_PATH={package}/share/cmake"
        backend = f"-DDIPTYCH_BACKEND={context.build / 'lib' / LIBRARY}"
        run(["cmake", "-S", ROOT / "examples" / "executorch_cpp", "-B", build, prefix, backend])
        run(["cmake", "--build", build])
        out = run([Path(build) / "run_method", model, "prefill"])
    yield Row("examples/executorch_cpp runs prefill", out.count("output") == 13, seconds=time.time() - start)
