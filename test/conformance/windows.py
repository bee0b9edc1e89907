"""Layers with a window, far beyond it: a runner in upstream's manner against transformers at every position."""

import importlib.util
import json
import time

from context import run
from report import Row, compared

TOLERANCE = 1e-3
WINDOW = 11
LENGTH = 3 * WINDOW + 7
FP32 = ["--linear_quantize", "none", "-E", "none", "--dtype", "fp32", "--recipe", "upstream"]
SHAPE = "dim=64,layers=4,heads=4,kv_heads=2,hidden=96,vocab=300,tied=0"
FACTORS = dict(short_factor=[1 + i / 8 for i in range(8)], long_factor=[2 + i for i in range(8)])
LONGROPE = dict(rope_scaling=dict(type="longrope", **FACTORS), max_position_embeddings=256)

# What synth is asked for, what is changed in config.json afterwards, and how many layers have a window.
CASES = [
    ("mistral", "mistral", f",window={WINDOW}", {}, 4),
    ("qwen2, after two layers", "qwen2", f",window={WINDOW},full_layers=2", {}, 2),
    ("qwen3, layer_types", "qwen3", f",window={WINDOW}",
     dict(layer_types=["sliding_attention", "full_attention"] * 2), 2),
    ("phi3", "phi3", f",window={WINDOW}", {}, 4),
    ("phi3, short LongRoPE", "phi3", f",window={WINDOW}", dict(LONGROPE, original_max_position_embeddings=64), 4),
    ("phi3, long LongRoPE", "phi3", "", dict(LONGROPE, original_max_position_embeddings=32), 0),
    ("mistral, no window", "mistral", "", dict(sliding_window=None), 0),
]


class Runner:
    """Runs a file's methods as upstream's static attention does: a mask for each length of cache, ring caches that
    are indexed by the absolute position, and masks that hide what is outside of each row's window."""

    def __init__(self, path):
        from executorch.runtime import Runtime

        self.program = Runtime.get().load_program(str(path))
        self.names = self.program.method_names
        several = "prefill" in self.names
        self.methods = [self.describe("forward", "decode_" if several else "")]
        if several:
            self.methods.append(self.describe("prefill", "prefill_"))
        count = len(self.methods[0]["caches"])
        self.windows = self.constant("layer_windows").tolist() if "layer_windows" in self.names else [0] * count
        tables = 1 + max(self.constant("layer_rope_tables").tolist()) if "layer_rope_tables" in self.names else 1
        self.tables = [[self.constant(f"freqs_{kind}" + (f"_{i}" if i else "")) for kind in ("cos", "sin")]
                       for i in range(tables)]
        self.reset()

    def constant(self, name):
        return self.program.load_method(name).execute([])[0].clone()

    def describe(self, name, prefix):
        method = self.program.load_method(name)
        metadata = method.metadata
        shapes = [tuple(metadata.input_tensor_meta(i).sizes()) for i in range(metadata.num_inputs())]
        places = {key: self.constant(f"{prefix}{key}").tolist()
                  for key in ("tokens_input_index", "freqs_cos_input_index", "freqs_sin_input_index", "mask_specs",
                              "kv_cache_specs")}
        last = f"{prefix}last_valid_token_pos_input_index"
        return dict(method=method, shapes=shapes, tokens=shapes[places["tokens_input_index"][0]][1], places=places,
                    caches=places["kv_cache_specs"], last=self.constant(last).item() if last in self.names else None)

    def reset(self):
        import torch

        self.position = 0
        shapes = self.methods[0]["shapes"]
        self.cached = [[torch.zeros(shapes[row[0]]), torch.zeros(shapes[row[2]])] for row in self.methods[0]["caches"]]

    def mask(self, length, window, tokens):
        """[1, T, C + T] for caches of this length."""
        import torch

        window = window or 1 << 30
        positions = self.position + torch.arange(tokens)
        slots = torch.arange(length)
        if window < 1 << 30:  # slot s holds the latest token whose position is s modulo the length
            slots = self.position - 1 - (self.position - 1 - slots) % length
        columns = torch.cat([slots, positions])
        there = torch.cat([(slots >= 0) & (slots < self.position), torch.ones(tokens, dtype=torch.bool)])
        rows = positions.unsqueeze(1)
        seen = there & (columns <= rows) & (columns > rows - window)
        return torch.where(seen, 0.0, float("-inf")).unsqueeze(0)

    def evaluate(self, tokens):
        """The logits of one call: after each token, or after the last."""
        import torch

        call = next((m for m in self.methods if m["tokens"] >= len(tokens)), self.methods[-1])
        size, places, count = call["tokens"], call["places"], len(tokens)
        inputs = [None] * len(call["shapes"])
        inputs[places["tokens_input_index"][0]] = torch.tensor([tokens + [0] * (size - count)], dtype=torch.int32)
        for index, length in places["mask_specs"]:
            layer = next(i for i, row in enumerate(call["caches"]) if row[4] == length)
            inputs[index] = self.mask(length, self.windows[layer], size)
        for kind, key in enumerate(("freqs_cos_input_index", "freqs_sin_input_index")):
            for table, index in enumerate(places[key]):
                rows = (self.position + torch.arange(size)).clamp(max=len(self.tables[table][kind]) - 1)
                inputs[index] = self.tables[table][kind][rows].contiguous()
        for layer, row in enumerate(call["caches"]):
            inputs[row[0]], inputs[row[2]] = self.cached[layer]
        if call["last"] is not None:
            inputs[call["last"]] = torch.tensor([count - 1])
        outputs = call["method"].execute(inputs)
        layers = len(call["caches"])
        for layer, row in enumerate(call["caches"]):
            kept = torch.arange(max(0, count - row[4]), count)
            slots = (self.position + kept) % row[4]
            for cache, fresh in zip(self.cached[layer], (outputs[1 + layer], outputs[1 + layers + layer])):
                cache[:, :, slots] = fresh[:, :, kept]
        self.position += count
        return outputs[0][0].float().clone()[: count if call["last"] is None else 1]


def missing():
    names = ["transformers", "safetensors"]
    return [name for name in names if importlib.util.find_spec(name) is None]


def made(context, name, family, shape, changes):
    directory = context.work / "windows" / name.replace(" ", "_").replace(",", "")
    run([context.diptych, "synth", "--shape", SHAPE + shape, "--family", family, "--format", "hf", "-o", directory,
         "--force"])
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, **changes}))
    return directory


def against_transformers(context):
    import numpy as np
    from families import transformers_logits

    for name, family, shape, changes, sliding in CASES:
        directory = made(context, name, family, shape, changes)
        tokens = np.random.default_rng(5).integers(3, 300, LENGTH).tolist()
        wanted = transformers_logits(directory, tokens)
        for multifunction, length in ((False, 1), (False, 4), (False, 16), (True, 4), (True, 16)):
            start = time.time()
            path = directory / f"{'multi' if multifunction else 'single'}_{length}.pte"
            run([context.diptych, "export", directory, "-o", path, "--max_context_len", LENGTH + length,
                 "--input_len", length, *FP32, *(["--multifunction"] if multifunction else [])])
            runner = Runner(path)
            form = "pair" if multifunction else "single"
            lengths = {row[4] for row in runner.methods[0]["caches"]}
            yield Row(f"windows: {name}, {form} {length}: {sliding} layers slide",
                      sum(window == WINDOW for window in runner.windows) == sliding and
                      (WINDOW in lengths) == (sliding > 0))
            # Every position, where a call gives all logits; else those after calls of some sizes.
            for chunk in sorted({1, 3, length}):
                if chunk > length:
                    continue
                runner.reset()
                got, expected = [], []
                for at in range(0, LENGTH, chunk):
                    logits = runner.evaluate(tokens[at : at + chunk]).numpy()
                    got.append(logits)
                    end = min(at + chunk, LENGTH)
                    expected.append(wanted[end - len(logits) : end])
                yield compared(f"windows: {name}, {form} {length}, chunks of {chunk}", np.concatenate(got),
                               np.concatenate(expected), TOLERANCE, time.time() - start, least_top1=1)


def rows(context):
    absent = missing()
    if absent:
        yield Row("windows", True, note=f"skipped: {', '.join(absent)} not installed (scripts/setup-reference.sh)")
        return
    import diptych

    diptych.register()
    yield from against_transformers(context)
