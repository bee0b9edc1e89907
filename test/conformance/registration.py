"""register() in processes of their own: whatever is imported first, once or twice, and without ExecuTorch."""

import subprocess
import sys
import time

from context import LIBRARY, python, run
from report import Row

LISTED = "from executorch.runtime import Runtime; print(Runtime.get().backend_registry.registered_backend_names)"
REGISTER = "import diptych; diptych.register()"

ORDERS = {
    "before the runtime": [REGISTER, LISTED],
    "after the runtime": ["import executorch.runtime", REGISTER, LISTED],
    "between torch and the runtime": ["import torch", REGISTER, LISTED],
    "before torch": [REGISTER, "import torch", LISTED],
    "beside coremltools' protobuf": ["import coremltools", REGISTER, LISTED],
    "twice": [REGISTER, REGISTER, LISTED],
}


def rows(context):
    for order, statements in ORDERS.items():
        start = time.time()
        out = python(context, "-c", "\n".join(statements))
        count = out.count("'CoreMLBackend'")
        yield Row(f"register {order}", count == 1, seconds=time.time() - start, note="" if count == 1 else out.strip())
    # -S hides the packages of the environment.
    done = subprocess.run(
        [sys.executable, "-S", "-c", REGISTER], env=context.environment, capture_output=True, text=True
    )
    said = done.stderr.strip().splitlines()[-1]
    yield Row("register without ExecuTorch says what is missing", "ExecuTorch is not installed" in said, note="")
    version = python(context, "-m", "diptych", "--version")
    yield Row("python -m diptych is the command", version == run([context.diptych, "--version"]))
    exported = run(["nm", "-D", "--defined-only", context.build / "lib" / LIBRARY])
    yield Row("the plug-in exports no symbols", exported.strip() == "", note=exported.strip()[:80])
