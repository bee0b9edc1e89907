"""Damaged files through the stock runtime: an error of the right code, and a process that goes on."""

import re
import time

import upstream
from report import Row

# executorch/runtime/core/error.h
INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND, INVALID_PROGRAM = 0x12, 0x10, 0x20, 0x23


def code_of(action):
    """The error code that an action of the stock runtime fails with, or None."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 -- the bindings raise several
        found = re.search(r"0x:?([0-9a-fA-F]+)", str(error))
        return int(found.group(1), 16) if found else str(error)
    return None


def rows(context):
    import torch
    from executorch.runtime import Runtime

    import diptych

    diptych.register()
    good = context.export(context.demo, upstream.Variant("multi", "fp16", "c4w", "8,0")).read_bytes()

    def replaced(old, new):
        assert good.count(old) > 0 and len(old) == len(new)
        return good.replace(old, new)

    key = re.search(rb'CMJR\{.*?"key": ?"([^"]+)"', good).group(1)
    damaged = [
        ("an opset of another system", replaced(b"CoreML8", b"CoreML4"), NOT_SUPPORTED),
        ("an operation nobody knows", replaced(b"\x04silu", b"\x04sulu"), NOT_SUPPORTED),
        ("a key without data", replaced(b'"' + key + b'"', b'"' + b"x" * len(key) + b'"'), NOT_FOUND),
        ("a reference that is no JSON", replaced(b"CMJR{", b"CMJR["), INVALID_PROGRAM),
        ("a malformed protobuf", replaced(b"\n\x04silu", b"\n\x7fsilu"), INVALID_PROGRAM),
    ]
    runtime = Runtime.get()
    for what, data, wanted in damaged:
        start = time.time()
        found = code_of(lambda data=data: runtime.load_program(data).load_method("forward"))
        yield row(what, found, wanted, start)
    start = time.time()
    method = runtime.load_program(good).load_method("forward")
    found = code_of(lambda: method.execute([torch.zeros(1, 1, dtype=torch.float64)]))
    yield row("an input of the wrong type", found, INVALID_ARGUMENT, start)


def row(what, found, wanted, start):
    shown = f"{found:#x}" if isinstance(found, int) else found
    note = "" if found == wanted else f"expected {wanted:#x}, found {shown}"
    return Row(f"{what}: error {wanted:#x}", found == wanted, seconds=time.time() - start, note=note)
