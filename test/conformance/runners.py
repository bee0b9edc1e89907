"""Upstream's own scripts, unmodified, on upstream's files and ours."""

import time

import upstream
from context import HERE, python
from report import Row

PROMPT = "Once upon a time"
TOKENS = 40
NGRAM_SIZE = 5  # of lookahead, in the scripts


def expected_text(checkpoint, variant, count):
    """The eager model's greedy text after the prompt, spelled as the scripts spell it: token by token."""
    from pytorch_tokenizers import get_tokenizer

    tokenizer = get_tokenizer(checkpoint.tokenizer, None)
    tokens = tokenizer.encode(PROMPT, bos=True, eos=False)
    generated = upstream.Eager(checkpoint, variant).continued(tokens, count)[len(tokens) :]
    stop = getattr(tokenizer, "stop_tokens", None) or [tokenizer.eos_id]
    text = []
    for token in generated:
        if token in stop:
            break
        text.append(tokenizer.decode_token(token))
    return "".join(text)


def run(context, checkpoint, variant, path, lookahead):
    script = "run_static_llm_multifunction" if variant.mode == "multi" else "run_static_llm"
    length, context_length = checkpoint.input_len, checkpoint.max_context_len
    command = [HERE / "launch.py", f"executorch.examples.apple.coreml.llama.{script}", "-m", path]
    command += ["-p", checkpoint.params, "-t", checkpoint.tokenizer, "--prompt", PROMPT, "--temperature", "0"]
    command += ["--max_new_tokens", TOKENS, "--input_len", length]
    if variant.mode == "multi":
        command += ["--max_context_len", context_length]
    else:
        command += ["--cache_len", context_length - length]
    return python(context, *command, *(["--lookahead"] if lookahead else []))


def generated_text(out):
    """What a script printed of the text: the first token, a remark in brackets, the rest, a rule."""
    after = out.split(f"\n{PROMPT}", 2)[-1]
    first, _, rest = after.partition("\n[Using")
    if rest:
        first += rest.partition("]\n")[2]
    return first.split("\n" + "-" * 50)[0]


def rows(context):
    checkpoints = [context.demo] + ([context.stories] if context.stories and not context.smoke else [])
    for checkpoint in checkpoints:
        for mode, lookahead in (("multi", False), ("single", False), ("single", True)):
            if context.smoke and mode == "single":
                continue
            variant = upstream.Variant(mode, "fp16", "c4w", "8,0")
            wanted = expected_text(checkpoint, variant, TOKENS)
            # Lookahead goes on to the end of the n-gram that it accepted last.
            longest = expected_text(checkpoint, variant, TOKENS + NGRAM_SIZE) if lookahead else wanted
            for exporter, export in (("upstream", context.upstream_export), ("diptych", context.export)):
                path = export(checkpoint, variant)
                start = time.time()
                text = generated_text(run(context, checkpoint, variant, path, lookahead))
                script = "run_static_llm" + ("_multifunction" if mode == "multi" else "")
                name = f"{script}{' --lookahead' if lookahead else ''}, {exporter}'s {checkpoint.name}"
                ok = text.startswith(wanted) and longest.startswith(text)
                note = "" if ok else f"expected {wanted!r}, found {text!r}"
                yield Row(name, ok, seconds=time.time() - start, note=note)
