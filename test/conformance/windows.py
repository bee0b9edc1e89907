"""Layers with a window, far beyond it: a runner in upstream's manner against transformers at every position."""

import importlib.util
import json
import time

import family_models
from context import run
from families import greedy, transformers_logits
from report import Row, compared
from static_runner import Runner

TOLERANCE = 1e-3
WINDOW = 11
LENGTH = 3 * WINDOW + 7
GREEDY = 24
VOCABULARY = 600  # of a model with a tokenizer
TEXT = "The quick brown fox – naïve 日本 \U0001f98a  jumps\nover."
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


def at_every_position(context, name, directory, wanted, tokens, sliding, tables=1):
    """The rows of a model as one method and as two, in chunks of several sizes."""
    import numpy as np

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
                  (WINDOW in lengths) == (sliding > 0) and len(runner.tables) == tables)
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


def random_tokens(count, vocabulary=300):
    import numpy as np

    return np.random.default_rng(5).integers(3, vocabulary, count).tolist()


def against_transformers(context):
    for name, family, shape, changes, sliding in CASES:
        directory = made(context, name, family, shape, changes)
        tokens = random_tokens(LENGTH)
        wanted = transformers_logits(directory, tokens)
        yield from at_every_position(context, name, directory, wanted, tokens, sliding)


# Models that transformers makes, with the number of layers of each that slide and of RoPE tables.
SIZES = dict(head_dim=32, query_pre_attn_scalar=32, sliding_window=WINDOW)
BASES = dict(full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                  sliding_attention=dict(rope_type="default", rope_theta=1e4))
MADE = [
    (family_models.Made("gemma2", "Gemma2", SIZES), 3, 1),
    (family_models.Made("gemma3", "Gemma3", dict(SIZES, rope_parameters=BASES)), 5, 2),
    (family_models.Made("gemma3, a tokenizer", "Gemma3", dict(SIZES, vocab_size=VOCABULARY, rope_parameters=BASES)), 5, 2),
]


def gemma_tokenizer():
    """A tokenizer.json as Gemma's is made: spaces become part of tokens, unknown characters fall back to bytes, and
    turns have tokens of their own."""
    from text_tokenizers import GEMMA, added, file_of, template, trained

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    vocab = {name: id for id, name in enumerate([*specials, *(f"<0x{byte:02X}>" for byte in range(256))])}
    model = trained(GEMMA["pre_tokenizer"], GEMMA["normalizer"])
    # The first pieces, and of the merges those that give them: VOCABULARY tokens in all.
    pieces = [piece for piece in model["vocab"] if piece not in vocab][: VOCABULARY - len(vocab)]
    vocab.update({piece: len(vocab) + i for i, piece in enumerate(pieces)})
    merges = [merge for merge in model["merges"] if all(part in vocab for part in [*merge, "".join(merge)])]
    return file_of(
        dict(vocab=vocab, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"),
        added_tokens=[added(id, name) for id, name in enumerate(specials)],
        post_processor=template("<bos>", 2), **GEMMA,
    )


def greedy_rows(context, name, directory, model, prompt):
    """What diptych run goes on with, one method and two, is what transformers does."""
    ids, _ = greedy(model, prompt, GREEDY)
    for form, options in (("single", []), ("pair", ["--multifunction"])):
        start = time.time()
        path = directory / f"greedy_{form}.pte"
        run([context.diptych, "export", directory, "-o", path, "--max_context_len", 128, "--input_len", 16,
             *FP32, *options])
        out = run([context.diptych, "run", path, "--ids", ",".join(map(str, prompt)), "-n", GREEDY, "--ignore_eos",
                   "--print_ids", "--stats", "none", "--numerics", "precise"])
        yield Row(f"windows: {name}, {form}: {GREEDY} greedy tokens", out.split()[0] == ",".join(map(str, ids)),
                  seconds=time.time() - start)
        if (directory / "tokenizer.json").exists():
            yield text_row(context, f"windows: {name}, {form}: from a text", directory, path, model)


def text_row(context, name, directory, path, model):
    """The file carries the tokenizer: ids of a text, and the text of what follows, are those of the package."""
    import tokenizers

    start = time.time()
    theirs = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    prompt = theirs.encode(TEXT).ids
    ids, _ = greedy(model, prompt, GREEDY)
    common = [context.diptych, "run", path, "-p", TEXT, "-n", GREEDY, "--ignore_eos", "--stats", "none", "--numerics", "precise"]
    got = run([*common, "--print_ids"]).split()[0]
    ok = prompt[0] == 2 and got == ",".join(map(str, ids))
    return Row(name, ok, seconds=time.time() - start, note="" if ok else f"expected {ids}, found {got}")


def made_by_transformers(context):
    import torch
    import transformers

    for made, sliding, tables in MADE:
        directory = context.work / "windows" / made.name.replace(" ", "_").replace(",", "")
        family_models.make(made, directory)
        vocabulary = made.config.get("vocab_size", 300)
        if vocabulary == VOCABULARY:
            (directory / "tokenizer.json").write_text(json.dumps(gemma_tokenizer(), ensure_ascii=False))
        model = transformers.AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager").eval()
        tokens = random_tokens(LENGTH, vocabulary)
        with torch.no_grad():
            wanted = model(torch.tensor([tokens])).logits[0].numpy()
        yield from at_every_position(context, made.name, directory, wanted, tokens, sliding, tables)
        yield from greedy_rows(context, made.name, directory, model, tokens)


def rows(context):
    absent = missing()
    if absent:
        yield Row("windows", True, note=f"skipped: {', '.join(absent)} not installed (scripts/setup-reference.sh)")
        return
    import diptych

    diptych.register()
    yield from against_transformers(context)
    yield from made_by_transformers(context)
