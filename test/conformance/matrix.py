"""Every way to export, by both exporters: logits in the stock runtime, text by diptych run."""

import time

import upstream
from context import run
from report import Row, compared

PROMPT = "Once upon a time, there was a small"
PROMPT_LENGTH = 40  # a chunk of prefill, and a part
LENGTH = 64

# fp16: weights, caches and results between partitions are rounded to it.
TOLERANCE = {"fp16": 1.5e-2, "fp32": 1e-4}


def prompt(checkpoint):
    from pytorch_tokenizers import get_tokenizer

    tokens = get_tokenizer(checkpoint.tokenizer, None).encode(PROMPT, bos=True, eos=False)
    return (tokens * PROMPT_LENGTH)[:PROMPT_LENGTH]


def rows(context):
    import diptych

    diptych.register()
    checkpoint = context.demo
    variants = upstream.variants()
    if context.smoke:
        variants = [upstream.Variant("multi", "fp16", "c4w", "8,0")]
    references = {}
    for variant in variants:
        quantisation = (variant.dtype, variant.linear, variant.embedding)
        if quantisation not in references:
            model = upstream.Eager(checkpoint, variant)
            tokens = model.continued(prompt(checkpoint), LENGTH - PROMPT_LENGTH)
            references[quantisation] = tokens, model.logits(tokens)
        tokens, logits = references[quantisation]
        wanted = logits if variant.mode == "single" else logits[PROMPT_LENGTH - 1 :]
        for exporter, export in (("upstream", context.upstream_export), ("diptych", context.export)):
            path = export(checkpoint, variant)
            start = time.time()
            got = upstream.runtime_logits(path, checkpoint, variant, tokens, PROMPT_LENGTH)
            name = f"{exporter}'s {variant}"
            yield compared(f"{name}, stock runtime", got, wanted, TOLERANCE[variant.dtype], time.time() - start)
            yield greedy(context, path, f"{name}, diptych run", tokens)


def greedy(context, path, name, tokens):
    """The greedy tokens of diptych beside the eager model's; from the first difference on they are other texts."""
    start = time.time()
    prompt, wanted = tokens[:PROMPT_LENGTH], tokens[PROMPT_LENGTH:]
    command = [context.diptych, "run", path, "--ids", ",".join(map(str, prompt)), "-n", len(wanted)]
    out = run([*command, "--ignore_eos", "--print_ids", "--stats", "none"])
    got = [int(token) for token in out.replace("\n", ",").split(",") if token]
    same = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), len(wanted))
    return Row(name, got == wanted, top1=same / len(wanted), seconds=time.time() - start)
