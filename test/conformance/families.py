"""Every family in every form: logits against transformers, GGUF files against the ggml project's Python package."""

import importlib.util
import itertools
import json
import time

import family_models
from context import run
from report import Row, compared

TOLERANCE = 1e-3
LENGTH = 40
MADE_TOKENS = 24

# What synth is asked for, and what is changed in config.json afterwards.
SMALL = "dim=64,layers=3,heads=4,kv_heads=2,hidden=160,vocab=300"
CASES = [
    ("llama", "llama", f"{SMALL},tied=0", {}),
    ("llama, llama3 RoPE", "llama", f"{SMALL},rope_theta=500000,rope_scale_factor=8", {}),
    ("llama, linear RoPE", "llama", f"{SMALL},tied=0", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    ("mistral", "mistral", f"{SMALL},head_dim=32,tied=0", {}),
    ("qwen2", "qwen2", SMALL, {}),
    ("qwen3", "qwen3", f"{SMALL},head_dim=32,rope_theta=1000000", {}),
    ("phi3", "phi3", f"{SMALL},tied=0", {}),
    ("phi3, a part of each head", "phi3", f"{SMALL},tied=0", {"partial_rotary_factor": 0.75}),
]
MODES = {"fp32": ["--linear_quantize", "none", "-E", "none", "--dtype", "fp32"]}
QUANTISED = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]


def missing():
    names = ["transformers", "safetensors", "gguf"]
    return [name for name in names if importlib.util.find_spec(name) is None]


def synth(context, family, shape, form):
    directory = context.work / "families" / f"{family}_{form}"
    run([context.diptych, "synth", "--shape", shape, "--family", family, "--format", form, "-o", directory,
         "--force"])
    return directory


def export(context, model, *options, input_len=LENGTH):
    output = context.work / "families" / f"{model.name}.pte"
    command = [context.diptych, "export", model, "-o", output, "--recipe", "upstream", "--max_context_len", 2 * LENGTH, "--input_len", input_len]
    run([*command, "--target_split_size", 32, "--max_splits", 4, *options])
    return output


def runtime_logits(path, tokens):
    """[tokens, vocabulary] of one call with an empty cache, RoPE tables as the file has them."""
    import torch
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(str(path))
    tables = [program.load_method(name).execute([])[0][: len(tokens)].clone() for name in ("freqs_cos", "freqs_sin")]
    method = program.load_method("forward")
    metadata = method.metadata
    shapes = [tuple(metadata.input_tensor_meta(i).sizes()) for i in range(metadata.num_inputs())]
    mask = torch.full(shapes[1], float("-inf"))
    cache = shapes[1][-1] - len(tokens)
    mask[0, :, cache:] = torch.triu(torch.full((len(tokens), len(tokens)), float("-inf")), diagonal=1)
    inputs = [torch.tensor([tokens], dtype=torch.int32), mask, *tables]
    inputs += [torch.zeros(shape) for shape in shapes[4:]]
    return method.execute(inputs)[0][0].float().numpy()


def transformers_logits(directory, tokens):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    model.eval()
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].numpy()


def against_transformers(context):
    import numpy as np

    for name, family, shape, changes in CASES:
        start = time.time()
        directory = synth(context, family, shape, "hf")
        config = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({**config, **changes}))
        tokens = np.random.default_rng(5).integers(3, config["vocab_size"], LENGTH).tolist()
        path = export(context, directory, *MODES["fp32"])
        wanted = transformers_logits(directory, tokens)
        got = runtime_logits(path, tokens)
        yield compared(f"{name}, transformers", got, wanted, TOLERANCE, time.time() - start, least_top1=1)


def greedy(model, prompt, count):
    """The ids that a transformers model goes on with, and the log probabilities before each, [count, vocabulary]."""
    import torch

    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        logits = model(torch.tensor([ids[:-1]])).logits[0, len(prompt) - 1 :]
    return ids[len(prompt) :], torch.log_softmax(logits, -1).numpy()


def generated(context, path, prompt, vocabulary, count):
    """The same by an export, through prefill and decoding."""
    import numpy as np

    text = run([context.diptych, "run", path, "--ids", ",".join(map(str, prompt)), "-n", count, "--json", "--logprobs",
                vocabulary, "--stats", "none", "--numerics", "precise"])
    tokens = json.loads(text.splitlines()[-1])["tokens"]
    logprobs = np.full((count, vocabulary), np.nan, np.float32)
    for row, token in zip(logprobs, tokens):
        for entry in token["top"]:
            row[entry["id"]] = entry["logprob"]
    return [token["id"] for token in tokens], logprobs


def made_by_transformers(context):
    """Models that transformers makes and writes, beyond three windows' length, through prefill and decoding."""
    import numpy as np
    import torch
    import transformers

    for made in family_models.MADE:
        directory = context.work / "families" / made.name.replace(",", "").replace(" ", "_")
        forms = {"Hugging Face": family_models.make(made, directory)}
        if made.gguf:
            forms["GGUF"] = family_models.to_gguf(made, directory, directory.with_name(directory.name + "_gguf"))
        loader = transformers.AutoModelForImageTextToText if made.vision else transformers.AutoModelForCausalLM
        model = loader.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        prompt = np.random.default_rng(5).integers(3, family_models.SMALL["vocab_size"], LENGTH).tolist()
        ids, wanted = greedy(model, prompt, MADE_TOKENS)
        for (form, source), functions in itertools.product(forms.items(), ([], ["--multifunction"])):
            start = time.time()
            path = export(context, source, *MODES["fp32"], *functions, input_len=16)
            got_ids, got = generated(context, path, prompt, wanted.shape[1], MADE_TOKENS)
            what = "several functions" if functions else "one function"
            row = compared(f"{made.name}, {form}, {what}", got, wanted, TOLERANCE, time.time() - start, least_top1=1)
            if got_ids != ids:
                row.ok, row.note = False, "other tokens"
            yield row


def same_forms(context):
    """All forms of a model are one file, quantised and not."""
    for name, family, shape, changes in CASES:
        if changes:
            continue
        models = [synth(context, family, shape, form) for form in ("meta", "hf", "gguf")]
        for mode, options in {**MODES, "fp16 c4w": ["--multifunction"]}.items():
            files = [export(context, model, *options).read_bytes() for model in models]
            yield Row(f"{name} {mode}: Meta, Hugging Face and GGUF", len(set(files)) == 1)


def read_by_gguf(context):
    """The ggml project's reader finds in our files what their Hugging Face form holds."""
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors import safe_open

    for family in ("qwen3", "phi3"):
        shape = next(shape for _, other, shape, changes in CASES if other == family and not changes)
        reader = GGUFReader(synth(context, family, shape, "gguf") / "model.gguf")
        values = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
        with safe_open(synth(context, family, shape, "hf") / "model.safetensors", "pt") as file:
            stored = [file.get_tensor(name).float().numpy() for name in file.keys()]
        ours = sorted(v.astype(np.float32).tobytes() for v in values.values())
        same = ours == sorted(v.tobytes() for v in stored)
        yield Row(f"{family}: gguf reads our file", same and reader.fields["general.architecture"].contents() == family)


def quantised_types(context):
    """A GGUF of each quantised type gives the weights of what gguf dequantises it to, bit for bit."""
    import gguf
    import numpy as np

    shape = "dim=256,layers=1,heads=4,kv_heads=2,hidden=256,vocab=256,tied=0"
    plain = synth(context, "llama", shape, "gguf")
    reader = gguf.GGUFReader(plain / "model.gguf")
    for number, name in enumerate(QUANTISED):
        kind = gguf.GGMLQuantizationType[name]
        random = np.random.default_rng(number)
        tensors, values = {}, {}
        for tensor in reader.tensors:
            size = [int(n) for n in reversed(tensor.shape)]
            if len(size) == 1:
                tensors[tensor.name] = values[tensor.name] = np.array(tensor.data)
                continue
            block, width = gguf.GGML_QUANT_SIZES[kind]
            data = random_blocks(random, name, size[0] * size[1] // block, width)
            tensors[tensor.name] = data.reshape(size[0], size[1] // block * width)
            values[tensor.name] = gguf.quants.dequantize(tensors[tensor.name], kind)
        narrow = gguf_of(context, f"quantised_{name}", reader, tensors, kind)
        wide = gguf_of(context, f"dequantised_{name}", reader, values, None)
        mode = MODES["fp32"]
        weights = [extracted(context, export(context, model, *mode)) for model in (narrow, wide)]
        yield Row(f"GGUF {name}: the weights gguf computes", weights[0] == weights[1] and len(weights[0]) > 0)


def gguf_of(context, name, reader, tensors, kind):
    """A file of the reader's model with other tensors; matrices are blocks of a type, or fp32 when it is None."""
    import gguf

    directory = context.work / "families" / name
    directory.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(directory / "model.gguf", "llama")
    for field in ("block_count", "embedding_length", "feed_forward_length", "context_length", "vocab_size"):
        getattr(writer, f"add_{field}")(int(reader.fields[f"llama.{field}"].contents()))
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    for tensor, value in tensors.items():
        writer.add_tensor(tensor, value, raw_dtype=kind if value.ndim == 2 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return directory


def random_blocks(random, name, count, width):
    """Blocks of any codes; their fp16 scales are small numbers."""
    import numpy as np

    data = random.integers(0, 256, (count, width), dtype=np.uint8)
    scales = {"Q6_K": [208], "Q8_0": [0], "Q4_0": [0], "Q5_0": [0]}.get(name, [0, 2])
    for at in scales:
        data[:, at : at + 2] = random.normal(0, 0.02, count).astype(np.float16).view(np.uint8).reshape(count, 2)
    return data


def extracted(context, path):
    """The weight files of all partitions."""
    import shutil

    directory = path.with_suffix(".packages")
    shutil.rmtree(directory, ignore_errors=True)
    run([context.diptych, "extract", path, "-o", directory])
    return [file.read_bytes() for file in sorted(directory.rglob("weight.bin"))]


def rows(context):
    absent = missing()
    if absent:
        yield Row("families", True, note=f"skipped: {', '.join(absent)} not installed (scripts/setup-reference.sh)")
        return
    import diptych

    diptych.register()
    yield from against_transformers(context)
    yield from made_by_transformers(context)
    yield from same_forms(context)
    yield from read_by_gguf(context)
    yield from quantised_types(context)
