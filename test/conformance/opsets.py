"""diff aligns what coremltools converts for one system with what it converts for another: the same network, written with
the operations of iOS 15, 16 and 17 beside those of iOS 18."""

import json
import tempfile
import time
from pathlib import Path

from context import run
from report import Row

DIM, HEADS, TOKENS, VOCABULARY = 64, 4, 8, 96


def network():
    """A small transformer: embedding, two layers of attention and gated feed-forward with RMS norms, head."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.rand(DIM) + 0.5)

        def forward(self, x):
            return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * self.gain

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention_norm, self.ffn_norm = Norm(), Norm()
            self.q, self.k, self.v, self.o = (nn.Linear(DIM, DIM) for _ in range(4))
            self.gate, self.up, self.down = nn.Linear(DIM, 96), nn.Linear(DIM, 96), nn.Linear(96, DIM)

        def forward(self, x, mask):
            def heads(y):
                return y.reshape(1, TOKENS, HEADS, DIM // HEADS).transpose(1, 2)

            h = self.attention_norm(x)
            scores = heads(self.q(h)) @ heads(self.k(h)).transpose(-1, -2) * 0.25 + mask
            seen = (torch.softmax(scores, -1) @ heads(self.v(h))).transpose(1, 2).reshape(1, TOKENS, DIM)
            x = x + self.o(seen)
            h = self.ffn_norm(x)
            return x + self.down(functional.silu(self.gate(h)) * self.up(h))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, DIM)
            self.layers = nn.ModuleList([Layer(), Layer()])
            self.norm, self.head = Norm(), nn.Linear(DIM, VOCABULARY)

        def forward(self, tokens, mask):
            x = self.embedding(tokens)
            for layer in self.layers:
                x = layer(x, mask)
            return self.head(self.norm(x))

    torch.manual_seed(1)
    tokens, mask = torch.zeros(1, TOKENS, dtype=torch.int32), torch.zeros(1, 1, TOKENS, TOKENS)
    return torch.jit.trace(Model().eval(), (tokens, mask))


def rows(context):
    import coremltools
    import numpy

    traced = network()

    def inputs():  # of each conversion its own, which it writes to; fp32, for iOS 15 takes no fp16
        return [
            coremltools.TensorType("tokens", (1, TOKENS), dtype=numpy.int32),
            coremltools.TensorType("mask", (1, 1, TOKENS, TOKENS), dtype=numpy.float32),
        ]

    with tempfile.TemporaryDirectory() as directory:

        def package(system):
            model = coremltools.convert(
                traced, inputs=inputs(), minimum_deployment_target=getattr(coremltools.target, system), skip_model_load=True
            )
            path = Path(directory, system + ".mlpackage")
            model.save(str(path))
            return path

        newest = package("iOS18")
        for system in ("iOS15", "iOS16", "iOS17"):
            start = time.time()
            found = json.loads(run([context.diptych, "diff", package(system), newest, "--json"]))["functions"][0]
            same = found["complete"] and not found["differences"] and not found["weights"] and "first" not in found
            yield Row(
                f"diff aligns {system}'s form with iOS18's",
                same,
                seconds=time.time() - start,
                note=f"{found['aligned']} of {found['operations_a']} and {found['operations_b']} operations",
            )
