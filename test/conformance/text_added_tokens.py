"""Added tokens of the files beside a tokenizer: ids of random configurations beside those of the package transformers."""

import json
import random
import shutil
import time

from context import ROOT
from report import Row
from text_tokenizers import BYTE_LEVEL_DECODER, added, byte_characters, byte_level, file_of, ours

SEED = 20261128
CONFIGURATIONS = 200
TEXTS = 25
NEW = ["<a>", "<|b|>", "<|b|>x", "[C]", "tool", "in g", "<D>", "<e>", "é", "<f>"]
WORDS = [" ", "  ", "\n", "user", "hello world", "a", ".", "_", "toolx", " tool ", "the quick", "x", "<s>"]
SPM_NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def flags(source):
    chances = {"single_word": 0.2, "lstrip": 0.3, "rstrip": 0.3, "normalized": 0.3, "special": 0.5}
    return {flag: source.random() < chance for flag, chance in chances.items()}


def byte_level_json(source):
    """A tokenizer.json of the bytes, a few merges and some added tokens."""
    vocab = {character: byte for byte, character in byte_characters().items()}
    merges = [["t", "h"], ["th", "e"], ["u", "s"], ["us", "e"], ["o", "o"]]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    new = [name for name in source.sample(NEW, source.randint(0, 3)) if name not in vocab]
    tokens = [added(len(vocab) + i, name, **flags(source)) for i, name in enumerate(new)]
    normalizer = {"type": "Lowercase"} if source.random() < 0.3 else None
    words = byte_level(r" ?\p{L}+|\s+(?!\S)|\s+|[^\s\p{L}]+")
    return file_of({"vocab": vocab, "merges": merges}, added_tokens=tokens, normalizer=normalizer, pre_tokenizer=words,
                   decoder=BYTE_LEVEL_DECODER)  # fmt: skip


def configuration(source, spm):
    """The three files; what contradicts itself (a token under two names with other flags) is left out."""
    config = {"tokenizer_class": "LlamaTokenizer" if spm else "PreTrainedTokenizerFast"}
    free = source.sample(NEW, len(NEW))
    take = lambda most: [free.pop() for _ in range(min(source.randint(0, most), len(free)))]  # noqa: E731
    if spm:
        config.update(SPM_NAMES, legacy=source.choice([True, False, None]))
    files = {"tokenizer_config.json": config}
    if source.random() < 0.5:
        decoder = {str(5000 + 3 * i): {"content": name, **flags(source)} for i, name in enumerate(take(4))}
        config["added_tokens_decoder"] = dict(source.sample(list(decoder.items()), len(decoder)))
    else:
        files["added_tokens.json"] = {name: 5000 + i for i, name in enumerate(take(3))}
    for key in ("pad_token", "sep_token", "image_token", *([] if spm else SPM_NAMES)):
        if source.random() < 0.3:
            config[key] = (take(1) or ["<z>"])[0]
    if source.random() < 0.4:
        config[source.choice(["additional_special_tokens", "extra_special_tokens"])] = take(3)
    if source.random() < 0.4:
        files["special_tokens_map.json"] = {
            "cls_token": {"content": "<cls>", **flags(source)}, "audio_token": "<z>",
        }  # fmt: skip
        if not spm:  # where the package loses them
            files["special_tokens_map.json"]["additional_special_tokens"] = take(2)
    return files


def compared(context, model, source, directory):
    """What differs for one configuration, or nothing."""
    from transformers import LlamaTokenizer, PreTrainedTokenizerFast

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    spm = source.random() < 0.5
    if spm:
        shutil.copy(model, directory / "tokenizer.model")
    else:
        (directory / "tokenizer.json").write_text(json.dumps(byte_level_json(source)))
    files = configuration(source, spm)
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content))
    texts = ["".join(source.choices(NEW + WORDS, k=source.randint(1, 9))) for _ in range(TEXTS)]
    theirs = (LlamaTokenizer if spm else PreTrainedTokenizerFast).from_pretrained(directory)
    before, *answers = ours(context, directory, [{"text": text, "specials": True} for text in ["", *texts]])
    for text, answer in zip(texts, answers, strict=True):
        wanted = before["ids"] + theirs.encode(text, add_special_tokens=False)
        if answer.get("ids") != wanted:
            return f"{files} {text!r}: {answer} instead of {wanted}"
    return ""


def rows(context):
    try:
        import transformers
    except ImportError as error:
        yield Row(f"added tokens: skipped, {error.name} is not installed", True)
        return
    transformers.logging.set_verbosity_error()
    start = time.time()
    source = random.Random(SEED)
    model = ROOT / "demo" / "tokenizer.model"
    found = [compared(context, model, source, context.work / "added_tokens") for _ in range(CONFIGURATIONS)]
    wrong = [line for line in found if line]
    for line in wrong[:5]:
        print(line)
    note = f"{len(wrong)} differ, e.g. {wrong[0][:160]}" if wrong else ""
    yield Row(f"added tokens against transformers: {CONFIGURATIONS} configurations of {TEXTS} texts", not wrong,
              seconds=time.time() - start, note=note)  # fmt: skip
