"""Small programs of several methods, such as upstream's test_coreml_multifunction builds: exported by upstream,
executed through the plug-in, against eager."""

import time

from report import Row

TOLERANCE = 1e-4


def compile_specs(sharing):
    import coremltools as ct
    from executorch.backends.apple.coreml.compiler.coreml_preprocess import (
        MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
        CoreMLBackend,
    )

    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        compute_unit=ct.ComputeUnit.CPU_ONLY,
        model_type=CoreMLBackend.MODEL_TYPE.MODEL,
    )
    if sharing:
        strategy = getattr(MULTIMETHOD_WEIGHT_SHARING_STRATEGY, sharing)
        specs.append(CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(strategy))
    return specs


def lower(methods, sharing, skipped=(), constants=None):
    """The bytes of a .pte with `methods`: name -> (module, inputs)."""
    import torch
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    partitioner = CoreMLPartitioner(compile_specs=compile_specs(sharing), skip_ops_for_coreml_delegation=list(skipped))
    manager = to_edge_transform_and_lower(
        {name: torch.export.export(module, inputs) for name, (module, inputs) in methods.items()},
        partitioner=[partitioner],
        constant_methods=constants,
        compile_config=EdgeCompileConfig(_check_ir_validity=False),
    )
    return manager.to_executorch().buffer


def execute(name, methods, buffer):
    """The row of all methods, loaded together and called in turn."""
    import torch
    from executorch.runtime import Runtime

    start = time.time()
    program = Runtime.get().load_program(buffer)
    loaded = {method: program.load_method(method) for method in methods}
    worst, total, count = 0.0, 0.0, 0
    for method, (module, inputs) in methods.items():
        with torch.no_grad():
            wanted = module(*inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for got, expected in zip(loaded[method].execute(inputs), wanted, strict=True):
            difference = (got - expected).abs()
            worst = max(worst, float(difference.max()))
            total, count = total + float(difference.sum()), count + difference.numel()
    return Row(name, worst <= TOLERANCE, None, worst, total / count, time.time() - start)


def rows(context):
    import torch

    import diptych

    diptych.register()
    torch.manual_seed(1)

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(16, 16)

        def forward(self, x):
            return self.linear(x)

    class Cached(Linear):
        def forward(self, x, cache):
            y = self.linear(x)
            return y, torch.cat([cache[:, 1:, :], y[:, -1:, :]], dim=1)

    class TwoParts(torch.nn.Module):
        """Its sine is left to the portable kernels, so that there is a partition on either side."""

        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Linear(16, 24), torch.nn.Linear(24, 8)

        def forward(self, x):
            return self.second(torch.sin(self.first(x)))

    def of_lengths(module, lengths, *more):
        return {
            name: (module.eval(), (torch.randn(1, length, 16), *more))
            for name, length in zip(("forward", "prefill", "verify", "chunk"), lengths)
        }

    split = ["aten.sin.default"]
    for sharing in (None, "DISABLED", "POSITIONAL"):
        label = f"weight sharing {sharing.lower() if sharing else 'not given'}"
        cases = [("two methods of a linear layer", of_lengths(Linear(), (1, 8)), ())]
        if sharing:
            cases += [
                ("a cache beside the layer", of_lengths(Cached(), (1, 8), torch.randn(1, 32, 16)), ()),
                ("four methods", of_lengths(Linear(), (1, 8, 5, 16)), ()),
                ("two partitions", of_lengths(TwoParts(), (1, 8)), split),
            ]
        for what, methods, skipped in cases:
            yield execute(f"{what}, {label}", methods, lower(methods, sharing, skipped, {"vocab_size": 32000}))
    yield mismatch(TwoParts, Linear)


def mismatch(two_parts, one_part):
    """Methods of two and one partitions cannot share by position: upstream's exporter refuses."""
    import torch

    methods = {
        "forward": (two_parts().eval(), (torch.randn(1, 1, 16),)),
        "prefill": (one_part().eval(), (torch.randn(1, 8, 16),)),
    }
    name = "methods of two and one partitions, positional: refused at export"
    start = time.time()
    try:
        lower(methods, "POSITIONAL", ["aten.sin.default"])
    except Exception as error:  # noqa: BLE001 -- upstream does not say which
        return Row(name, "partition" in str(error).lower(), seconds=time.time() - start)
    return Row(name, False, note="it was accepted")
