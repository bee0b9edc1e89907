"""Upstream's exporter, eager model and runtime, called as upstream's own scripts call them."""

import argparse
import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """How a checkpoint is exported; the names are those of the exporter's options, "none" for nothing."""

    mode: str  # single or multi
    dtype: str
    linear: str
    embedding: str

    def __str__(self):
        return f"{self.mode} {self.dtype} {self.linear} {self.embedding}"

    @property
    def file_name(self):
        return str(self).replace(" ", "_").replace(",", "")


@dataclass(frozen=True)
class Checkpoint:
    directory: Path  # with model.pth, params.json, tokenizer.model
    max_context_len: int
    input_len: int

    @property
    def model(self):
        return str(self.directory / "model.pth")

    @property
    def params(self):
        return str(self.directory / "params.json")

    @property
    def tokenizer(self):
        return str(self.directory / "tokenizer.model")

    @property
    def name(self):
        return self.directory.name


@contextlib.contextmanager
def quiet():
    """Upstream reports what it does at length, on stdout."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def arguments(checkpoint, variant, output):
    """The exporter's options, which are diptych's too."""
    result = ["-c", checkpoint.model, "-p", checkpoint.params, "-o", str(output), "--dtype", variant.dtype]
    result += ["--max_context_len", str(checkpoint.max_context_len), "--input_len", str(checkpoint.input_len)]
    result += ["-E", "" if variant.embedding == "none" else variant.embedding]
    if variant.mode == "multi":
        result.append("--multifunction")
    return result


def export(checkpoint, variant, directory):
    """A file by upstream's exporter. It takes minutes, so files are kept in `directory` by content."""
    import executorch.version

    key = hashlib.sha256()
    for path in (checkpoint.model, checkpoint.params):
        key.update(Path(path).read_bytes())
    key.update(f"{executorch.version.__version__} {checkpoint.max_context_len} {checkpoint.input_len}".encode())
    output = Path(directory) / f"{checkpoint.name}_{variant.file_name}_{key.hexdigest()[:12]}.pte"
    if output.exists():
        return output
    from executorch.examples.apple.coreml.llama import export_static_llm_coreml as exporter

    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(f".{os.getpid()}.pte")
    command = ["export_static_llm_coreml", *arguments(checkpoint, variant, partial)]
    transform = exporter._transform_eager_model
    if variant.linear == "none":  # the command line cannot say it, the function can

        def unquantised(model, options, dtype):
            options.linear_quantize = None
            return transform(model, options, dtype)

        exporter._transform_eager_model = unquantised
    else:
        command += ["--linear_quantize", variant.linear]
    saved, sys.argv = sys.argv, command
    try:
        with quiet():
            exporter.main()
    finally:
        sys.argv, exporter._transform_eager_model = saved, transform
    partial.replace(output)
    return output


def _widened(model):
    """The model with exact fp32 values in place of quantised and fp16 ones."""
    import torch
    from torchao.quantization import IntxUnpackedToInt8Tensor

    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, IntxUnpackedToInt8Tensor):
            continue
        scale, zero = weight.scale.float(), weight.zero_point.float()
        for axis, size in enumerate(weight.block_size):
            scale = scale.repeat_interleave(size, dim=axis)
            zero = zero.repeat_interleave(size, dim=axis)
        module.weight = torch.nn.Parameter((weight.qdata.float() - zero) * scale, requires_grad=False)
    return model.float()


class Eager:
    """The eager model that the exporter exports, computed in fp32."""

    def __init__(self, checkpoint, variant):
        import torch
        from executorch.examples.apple.coreml.llama import export_static_llm_coreml as exporter

        self.checkpoint = checkpoint
        options = argparse.Namespace(
            target_split_size=1024,
            max_splits=8,
            no_graph_breaks=True,
            embedding_quantize=None if variant.embedding == "none" else variant.embedding,
            linear_quantize=None if variant.linear == "none" else variant.linear,
        )
        self.dtype = {"fp16": torch.float16, "fp32": torch.float32}[variant.dtype]
        with quiet():
            model, self.config = exporter.load_model(checkpoint.model, checkpoint.params, checkpoint.max_context_len)
            self.model = _widened(exporter._transform_eager_model(model, options, self.dtype))

    def logits(self, tokens):
        """[tokens, vocabulary]"""
        import torch
        from executorch.examples.models.llama.static_attention import StaticAttentionIOManager

        length = len(tokens)
        manager = StaticAttentionIOManager(
            self.config, input_len=length, cache_lens=self.checkpoint.max_context_len - length, batch_size=1,
            dtype=torch.float32, style="smart_mask", mask_val=float("-inf"),
        )  # fmt: skip
        # The exported tables have the file's type.
        manager.freqs_cos = manager.freqs_cos.to(self.dtype).float()
        manager.freqs_sin = manager.freqs_sin.to(self.dtype).float()
        with torch.no_grad():
            return manager.prefill(self.model, list(tokens))[0].numpy()

    def continued(self, tokens, count):
        """The tokens and `count` greedy ones after them."""
        tokens = list(tokens)
        for _ in range(count):
            tokens.append(int(self.logits(tokens)[-1].argmax()))
        return tokens


def _config(checkpoint, full_logits):
    import json

    from executorch.examples.models.llama.model_args import ModelArgs

    params = json.loads(Path(checkpoint.params).read_text())
    config = ModelArgs(max_context_len=checkpoint.max_context_len, generate_full_logits=full_logits, **params)
    config.attention_type = "static_mha"
    return config


def runtime_logits(path, checkpoint, variant, tokens, prompt_length):
    """Logits of a .pte in the stock runtime, [positions, vocabulary].

    single: of all tokens. multi: after the prompt (method prefill) and after each further token
    (method forward). The caches are upstream's.
    """
    import numpy as np
    import torch
    from executorch.examples.apple.coreml.llama import utils
    from executorch.examples.apple.coreml.llama.run_static_llm import create_pte_wrapper
    from executorch.examples.models.llama.static_attention import StaticAttentionIOManager
    from executorch.runtime import Runtime

    dtype = {"fp16": torch.float16, "fp32": torch.float32}[variant.dtype]
    program = Runtime.get().load_program(str(path))
    config = _config(checkpoint, full_logits=variant.mode == "single")
    if variant.mode == "single":
        manager = StaticAttentionIOManager(
            config, input_len=checkpoint.input_len, cache_lens=checkpoint.max_context_len - checkpoint.input_len,
            batch_size=1, dtype=dtype, style="smart_mask", mask_val=float("-inf"),
        )  # fmt: skip
        method = program.load_method("forward")
        model = create_pte_wrapper(method, list(manager.k_caches), list(manager.v_caches))
        return manager.prefill(model, list(tokens))[0].float().numpy()
    decode, prefill, mask = utils.setup_multifunction_managers(
        config, checkpoint.input_len, 1, checkpoint.max_context_len - 1, dtype=dtype
    )
    methods = program.load_method("forward"), program.load_method("prefill")
    model = utils.create_pte_wrapper(*methods, decode, checkpoint.input_len, mask)
    rows = [prefill.prefill(model, list(tokens[:prompt_length]))]
    decode.pos = prefill.pos
    for mask in decode._masks.values():
        mask.reset()
        mask.unmask(decode.pos)
    for token in tokens[prompt_length:]:
        rows.append(decode.prefill(model, [token]))
    return np.stack([row.reshape(-1).float().numpy() for row in rows])


def variants():
    import itertools

    grid = itertools.product(("single", "multi"), ("fp16", "fp32"), ("c4w", "b4w", "none"), ("8,0", "4,32", "none"))
    return [Variant(*choice) for choice in grid]
