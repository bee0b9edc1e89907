"""One file with functions of many kinds: several lengths for prompts and one that verifies, and adapters of their own. The
stock tools judge it, upstream's script runs the two functions that it knows, and every function gives the eager model's
logits."""

import importlib.util
import json
import sys
import time

import runners
import upstream
from context import run
from families import extracted
from report import Row, compared
from static_runner import Runner

LENGTHS = (64, 512)
VERIFY = 16
CONTEXT = 640
TOLERANCE = 1.5e-2  # in fp16
ADAPTERS = ("one", "two", "three", "four")
RANK, ALPHA = 4, 6
MODULES = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")


def judged(context, name, path):
    """What check_pte and check_mlpackage, of the reference data, say."""
    tools = context.shared / "tools"
    if not tools.is_dir():
        return Row(f"{name}, stock tools: skipped, no reference data in {context.shared}", True)
    sys.path.insert(0, str(tools))
    import check_mlpackage
    import check_pte

    start = time.time()
    packages = path.with_suffix(".checked")
    try:
        report = check_pte.check(str(path), 64, str(packages), True)
        parts = {part["package"] for method in report["methods"].values() for part in method["partitions"]}
        for part in parts:
            check_mlpackage.check(str(packages / part))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a checker raises
        return Row(f"{name}, stock tools", False, seconds=time.time() - start, note=f"{type(error).__name__}: {error}")
    note = f"{len(report['methods'])} methods, {len(parts)} packages"
    return Row(f"{name}, stock tools", True, seconds=time.time() - start, note=note)


def weight_bytes(context, path):
    return sum(map(len, extracted(context, path)))


def ladder_rows(context):
    checkpoint = upstream.Checkpoint(context.demo.directory, max_context_len=CONTEXT, input_len=LENGTHS[0])
    variant = upstream.Variant("multi", "fp16", "c4w", "8,0")
    directory = context.work / "functions"
    directory.mkdir(parents=True, exist_ok=True)
    pair, ladder = directory / "pair.pte", directory / "ladder.pte"
    common = [context.diptych, "export", "-c", checkpoint.model, "-p", checkpoint.params, "--recipe", "upstream", "--no-check",
              "--max_context_len", CONTEXT]  # fmt: skip
    run([*common, "-o", pair, "--multifunction", "--input_len", LENGTHS[0]])
    run([*common, "-o", ladder, "--prefill_len", ",".join(map(str, LENGTHS)), "--verify_len", VERIFY, "--max_unshared", 0])
    name = "decode, verify, two lengths for prompts"
    bytes_of = [weight_bytes(context, path) for path in (pair, ladder)]
    yield Row(f"{name}: weights are stored once", bytes_of[1] <= 1.01 * bytes_of[0],
              note=f"{bytes_of[1]} bytes, {bytes_of[0]} of the pair")  # fmt: skip
    yield judged(context, name, ladder)

    start = time.time()
    wanted = runners.expected_text(checkpoint, variant, runners.TOKENS)
    text = runners.generated_text(runners.run(context, checkpoint, variant, ladder, False))
    yield Row(f"{name}: upstream's script runs forward and prefill", text == wanted, seconds=time.time() - start,
              note="" if text == wanted else f"expected {wanted!r}, found {text!r}")  # fmt: skip

    calls = (("prefill_512", 500), ("prefill", 40), ("verify", 16), ("verify", 7), ("forward", 1))
    from matrix import prompt

    tokens = (prompt(checkpoint) * CONTEXT)[: sum(count for _, count in calls)]
    logits = upstream.Eager(checkpoint, variant).logits(tokens)
    runner = Runner(ladder)
    for function, count in calls:
        start, end = time.time(), runner.position + count
        got = runner.evaluate(tokens[runner.position : end], function).numpy()
        yield compared(f"{name}: {count} tokens by {function}", got, logits[end - len(got) : end], TOLERANCE,
                       time.time() - start)  # fmt: skip


def write_adapter(directory, config, seed):
    """An adapter in the form that PEFT writes; returns its matrices by module and layer."""
    import numpy as np
    from safetensors.numpy import save_file

    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    kv = config.num_key_value_heads * config.head_dim
    sizes = {"q_proj": (config.hidden_size, config.num_attention_heads * config.head_dim), "v_proj": (config.hidden_size, kv),
             "o_proj": (config.num_attention_heads * config.head_dim, config.hidden_size),
             "gate_proj": (config.hidden_size, config.intermediate_size),
             "down_proj": (config.intermediate_size, config.hidden_size)}  # fmt: skip
    tensors = {}
    for layer in range(config.num_hidden_layers):
        for module in MODULES:
            wide, high = sizes[module.split(".")[1]]
            stem = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{stem}.lora_A.weight"] = random.normal(0, wide**-0.5, (RANK, wide)).astype(np.float32)
            tensors[f"{stem}.lora_B.weight"] = random.normal(0, 0.3, (high, RANK)).astype(np.float32)
    save_file(tensors, directory / "adapter_model.safetensors")
    modules = [module.split(".")[1] for module in MODULES]
    (directory / "adapter_config.json").write_text(json.dumps(dict(
        peft_type="LORA", task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules=modules, bias="none")))  # fmt: skip
    return tensors


def merged(model_directory, adapter_directory, tensors):
    """The model with the adapter in its weights: by PEFT where it is installed, else by its formula."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(model_directory, dtype=torch.float32).eval()
    if importlib.util.find_spec("peft"):
        from peft import PeftModel

        return PeftModel.from_pretrained(model, str(adapter_directory)).merge_and_unload().eval()
    with torch.no_grad():
        for name, a in tensors.items():
            if name.endswith("lora_A.weight"):
                stem = name.removesuffix(".lora_A.weight")
                b = tensors[f"{stem}.lora_B.weight"]
                weight = model.get_submodule(stem.removeprefix("base_model.model.")).weight
                weight += ALPHA / RANK * torch.from_numpy(b) @ torch.from_numpy(a)
    return model


def adapter_rows(context):
    import family_models
    import numpy as np
    import torch
    import transformers

    directory = context.work / "functions" / "model"
    family_models.make(family_models.Made("llama", "Llama", dict(head_dim=16)), directory)
    config = transformers.AutoConfig.from_pretrained(directory)
    by = "PEFT's merged weights" if importlib.util.find_spec("peft") else "merged weights"
    tensors, options = {}, []
    for seed, name in enumerate(ADAPTERS):
        tensors[name] = write_adapter(directory.with_name(name), config, seed)
        options += ["--adapter", f"{name}={directory.with_name(name)}"]
    common = [context.diptych, "export", directory, "--recipe", "upstream", "--no-check", "--max_context_len", 64, "--input_len",
              16, "--linear_quantize", "none", "-E", "none", "--dtype", "fp32", "--multifunction"]  # fmt: skip
    plain, path = directory / "plain.pte", directory / "adapters.pte"
    run([*common, "-o", plain])
    run([*common, "-o", path, *options, "--max_unshared", 0])
    own = sum(tensor.nbytes for matrices in tensors.values() for tensor in matrices.values())
    base, all_of_them = weight_bytes(context, plain), weight_bytes(context, path)
    yield Row(f"{len(ADAPTERS)} adapters: the model's weights are stored once", all_of_them <= 1.03 * base + own,
              note=f"{all_of_them} bytes, {base} of the model and {own} of the adapters")  # fmt: skip
    yield judged(context, f"{len(ADAPTERS)} adapters", path)
    tokens = np.random.default_rng(5).integers(3, config.vocab_size, 40).tolist()
    for name in ("", *ADAPTERS):
        start = time.time()
        if name:
            model = merged(directory, directory.with_name(name), tensors[name])
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        with torch.no_grad():
            wanted = model(torch.tensor([tokens])).logits[0].numpy()
        runner = Runner(path, name)
        got = [runner.evaluate(tokens[:13]), runner.evaluate(tokens[13:29])]
        got += [runner.evaluate([token]) for token in tokens[29:]]
        rows = [12, 28, *range(29, 40)]
        case = f"adapter {name}: {by}" if name else "beside adapters: the model itself"
        yield compared(case, torch.cat(got).numpy(), wanted[rows], 1e-3, time.time() - start, least_top1=1)


def rows(context):
    import diptych

    diptych.register()
    yield from ladder_rows(context)
    absent = [name for name in ("transformers", "safetensors") if importlib.util.find_spec(name) is None]
    if absent:
        yield Row("adapters", True, note=f"skipped: {', '.join(absent)} not installed (scripts/setup-reference.sh)")
        return
    yield from adapter_rows(context)
