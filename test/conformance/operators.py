"""Single operators in stock ExecuTorch through the plug-in, in its default numerics, against PyTorch: a sample that
upstream's partitioner lowers here and now, and its whole operator suite where the reference data lie."""

import os
import time

from report import Row

# Programs compute in fp16: so much of the largest value may a result be off.
TOLERANCE = 2e-3


def difference(found, wanted):
    """How far a result is off, as a part of the largest value; infinite for another shape or NaNs elsewhere."""
    import numpy as np

    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        return float("inf")
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    finite = np.isfinite(b)
    if not finite.any():
        return 0.0
    return float(np.abs(a - b)[finite].max() / max(1.0, np.abs(b)[finite].max()))


def modules():
    """name -> (module, inputs): a few of each family."""
    import torch
    from torch import nn

    def function(f):
        class Of(nn.Module):
            def forward(self, *inputs):
                return f(*inputs)

        return Of()

    class First(nn.Module):
        def __init__(self, recurrent):
            super().__init__()
            self.recurrent = recurrent

        def forward(self, x):
            return self.recurrent(x)[0]

    torch.manual_seed(3)
    image, row = torch.randn(1, 6, 9, 11), torch.randn(2, 4, 8)
    whole = torch.randint(0, 10, (5, 10))
    return {
        "conv2d, dilated": (nn.Conv2d(6, 4, 3, stride=2, padding=1, dilation=2), (image,)),
        "conv2d, by channel": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (image,)),
        "conv_transpose2d": (nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1), (image,)),
        "max_pool2d": (nn.MaxPool2d(3, stride=2, padding=1), (image,)),
        "avg_pool2d": (nn.AvgPool2d(2, ceil_mode=True), (image,)),
        "upsample_bilinear": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), (image,)),
        "lstm, both ways": (First(nn.LSTM(8, 16, batch_first=True, bidirectional=True)), (row,)),
        "gru": (First(nn.GRU(8, 16, batch_first=True)), (row,)),
        "layer_norm": (nn.LayerNorm(8), (row,)),
        "linear, gelu": (nn.Sequential(nn.Linear(8, 32), nn.GELU()), (row,)),
        "embedding": (nn.Embedding(10, 6), (whole,)),
        "softmax": (nn.Softmax(dim=-1), (row,)),
        "masked_fill, a mask of bools": (function(lambda x, m: x.masked_fill(m, 2.0)), (row, row > 0)),
        "mean of integers as floats": (function(lambda x: x.mean(dtype=torch.float32)), (whole,)),
        "several outputs": (function(lambda x: (x + 1, x.amax(-1), x * 2)), (row,)),
        "floor_divide": (function(lambda x, y: torch.floor_divide(x, y)), (row * 9, row.flip(0).abs() + 1)),
    }


def lower(module, inputs):
    import torch
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    manager = to_edge_transform_and_lower(
        torch.export.export(module.eval(), inputs),
        partitioner=[CoreMLPartitioner()],
        compile_config=EdgeCompileConfig(_check_ir_validity=False),
    )
    program = manager.to_executorch()
    return bytes(program.buffer)


def of_sample():
    import torch
    from executorch.runtime import Runtime

    for name, (module, inputs) in modules().items():
        start = time.time()
        with torch.no_grad():
            wanted = module.eval()(*inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        buffer = lower(module, inputs)
        delegated = b"CoreMLBackend" in buffer
        found = Runtime.get().load_program(buffer).load_method("forward").execute(inputs)
        worst = max(difference(a, b) for a, b in zip(found, wanted, strict=True))
        note = "" if delegated else "nothing was delegated"
        yield Row(name, delegated and worst <= TOLERANCE, None, worst, seconds=time.time() - start, note=note)


def replay(path):
    """The worst difference of a kept program from PyTorch's outputs beside it."""
    import numpy as np
    import torch
    from executorch.runtime import Runtime

    data = np.load(path.with_suffix(".npz"))
    inputs = [torch.from_numpy(data[f"in{i}"]) for i in range(sum(key.startswith("in") for key in data))]
    wanted = [data[f"out{i}"] for i in range(sum(key.startswith("out") for key in data))]
    program = path.read_bytes()  # outlives the method
    found = Runtime.get().load_program(program).load_method("forward").execute(inputs)
    return max(difference(a, b) for a, b in zip(found, wanted, strict=True))


def of_suite(directory):
    start, failed, worst = time.time(), [], 0.0
    paths = sorted(directory.glob("*.pte"))
    for path in paths:
        try:
            off = replay(path)
        except Exception as error:  # noqa: BLE001
            failed.append(f"{path.stem}: {error}")
            continue
        worst = max(worst, off)
        if off > TOLERANCE:
            failed.append(f"{path.stem}: off by {off:.2g}")
    note = f"{len(failed)} fail: {failed[0]}"[:150] if failed else ""
    yield Row(f"operator suite, {len(paths)} programs", not failed and bool(paths), None, worst,
              seconds=time.time() - start, note=note)  # fmt: skip


def rows(context):
    import diptych

    os.environ.pop("DIPTYCH_NUMERICS", None)  # the default of those who only load the plug-in
    diptych.register()
    yield from of_sample()
    suite = context.shared / "data" / "et_ops"
    if suite.exists():
        yield from of_suite(suite)
    else:
        yield Row("operator suite", True, note="skipped: no reference data")
