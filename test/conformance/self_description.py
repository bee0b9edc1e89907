"""Files that describe themselves: stock ExecuTorch loads them, gives their constant methods and runs them through the
plug-in, before and after edits with `diptych metadata`, with the same outputs."""

import time

import upstream
from context import python, run
from report import Row

SCRIPT = """
import sys
import diptych
diptych.register()
import torch
from executorch.runtime import Runtime, Verification

path, decode, vocabulary, expected = sys.argv[1:]
program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
def value(name):
    return program.load_method(name).execute([])[0]
assert value("get_bos_id") == 1, value("get_bos_id")
eos = value("get_eos_ids")
assert eos.dtype == torch.int64 and eos.tolist() == [2], eos
assert value("get_model_name") == "Demo", value("get_model_name")
assert value("get_max_context_len") == 128
assert value(vocabulary) == 1024
assert value("decode_generate_full_logits") is False
assert value("prefill_tokens_input_index").tolist() == [0]
position = value("prefill_last_valid_token_pos_input_index").item()

torch.manual_seed(1)
def run(name):
    method = program.load_method(name)
    inputs = []
    for i in range(method.metadata.num_inputs()):
        meta = method.metadata.input_tensor_meta(i)
        sizes = list(meta.sizes())
        if i == 0:
            inputs.append(torch.arange(3, 3 + sizes[1], dtype=torch.int32).reshape(sizes))
        elif i == position:
            inputs.append(torch.zeros(sizes, dtype=torch.int64))
        else:
            inputs.append(torch.linspace(-1, 1, torch.Size(sizes).numel()).reshape(sizes).to(torch.float16))
    return [output.clone() for output in method.execute(inputs)]
outputs = run(decode) + run("prefill")
if expected == "-":
    torch.save(outputs, path + ".outputs")
else:
    for ours, theirs in zip(outputs, torch.load(expected), strict=True):
        assert torch.equal(ours, theirs)
print(len(outputs))
"""


def check(context, path, decode, vocabulary, expected):
    return int(python(context, "-c", SCRIPT, path, decode, vocabulary, expected).splitlines()[-1])


def strict(context, path):
    """The checker of the reference data, if it is there."""
    tool = context.shared / "tools" / "check_pte.py"
    if tool.exists():
        python(context, tool, path, "--strict")
        return "check_pte --strict"
    return "no reference data: not checked by check_pte"


def rows(context):
    variant = upstream.Variant("multi", "fp16", "c4w", "8,0")
    first = context.work / "self_description.pte"
    run([context.diptych, "export", *upstream.arguments(context.demo, variant, first), "--name", "Demo"])
    start = time.time()
    outputs = check(context, first, "forward", "vocab_size", "-")
    yield Row("stock ExecuTorch reads the constants and runs the methods", outputs == 26, seconds=time.time() - start,
              note=strict(context, first))

    start = time.time()
    renamed = context.work / "self_description_renamed.pte"
    run([context.diptych, "metadata", "rename-method", first, "forward", "decode", "-o", renamed])
    run([context.diptych, "metadata", "rename-method", renamed, "vocab_size", "get_vocab_size"])
    run([context.diptych, "metadata", "set", renamed, "extra=0.5", "table=[[1,2],[3,4]]", "--tokenizer", first])
    outputs = check(context, renamed, "decode", "get_vocab_size", f"{first}.outputs")
    yield Row("the same with methods renamed, outputs bit for bit", outputs == 26, seconds=time.time() - start,
              note=strict_of_renamed(context, renamed))


def strict_of_renamed(context, path):
    """check_pte looks for vocab_size under upstream's name."""
    run([context.diptych, "metadata", "rename-method", path, "get_vocab_size", "vocab_size"])
    return strict(context, path)
