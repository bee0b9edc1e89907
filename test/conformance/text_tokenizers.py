"""Token ids beside those of the packages sentencepiece, tiktoken and tokenizers, over generated texts in every script."""

import base64
import json
import subprocess
import time

from report import Row
from text_corpus import damaged, texts

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


def ours(context, file, requests):
    """Our answers to many requests (conformance_tokenizers.cc)."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [context.build / "bin" / "conformance_tokenizers", file]
    done = subprocess.run([str(part) for part in command], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-400:])
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def same_text(ours, theirs):
    """Equal, but for bytes that are no text: of a run of byte tokens that has some, the package `tokenizers` makes one
    U+FFFD of every byte, whole characters among them included; we lose only what is damaged."""
    return ours == theirs or ("\ufffd" in theirs and "\ufffd" in ours)


def compared(case, context, file, requests, encode, decode=None):
    """A row: our ids (and text) of every request beside those that encode (and decode) give."""
    start = time.time()
    requests = list(requests)
    answers = ours(context, file, requests)
    wrong = []
    for request, answer in zip(requests, answers, strict=True):
        wanted = encode(request)
        if answer.get("ids") != wanted:
            wrong.append(f"{request}: {answer} instead of {wanted}")
        elif decode is not None and not same_text(answer["text"], decode(wanted)):
            wrong.append(f"{wanted}: {answer['text']!r} instead of {decode(wanted)!r}")
    for line in wrong[:5]:
        print(line)
    note = f"{len(wrong)} differ, e.g. {wrong[0][:160]}" if wrong else ""
    return Row(f"{case}: {len(requests)} texts", not wrong, seconds=time.time() - start, note=note)


def as_texts(specials=False):
    return [{"text": text, "specials": specials} for text in texts()]


def as_damaged():
    return [{"hex": data.hex()} for data in damaged()]


def text_of(request):
    return request["text"] if "text" in request else bytes.fromhex(request["hex"]).decode("utf-8", "replace")


def sentencepiece_rows(context, file, name):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    bos = [processor.bos_id()]

    def encode(request):
        data = request["text"] if "text" in request else bytes.fromhex(request["hex"])
        return bos + processor.encode(data)

    yield compared(f"{name} against sentencepiece", context, file, as_texts(), encode, processor.decode)
    yield compared(f"{name}, damaged UTF-8", context, file, as_damaged(), encode)


def tiktoken_rows(context, file):
    import tiktoken

    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    specials = {"<|begin_of_text|>": len(ranks), "<|end_of_text|>": len(ranks) + 1, "<|eot_id|>": len(ranks) + 9}
    encoding = tiktoken.Encoding("llama3", pat_str=LLAMA3_WORDS, mergeable_ranks=ranks, special_tokens=specials)

    def encode(request):
        allowed = "all" if request["specials"] else set()
        return [len(ranks), *encoding.encode(request["text"], allowed_special=allowed, disallowed_special=())]

    def decode(ids):
        return encoding.decode([id for id in ids if id < len(ranks)])

    yield compared("llama3 against tiktoken", context, file, as_texts(), encode, decode)
    named = [request for request in as_texts(True) if "<|" in request["text"]]
    yield compared("llama3 with special tokens", context, file, named, encode)


def hf_row(context, case, tokenizer_json, directory, *, specials=False, check_text=True):
    """A tokenizer.json that we and the package `tokenizers` read alike."""
    import tokenizers

    file = directory / (case.replace(" ", "_").replace(",", "") + ".json")
    file.write_text(json.dumps(tokenizer_json, ensure_ascii=False))
    theirs = tokenizers.Tokenizer.from_file(str(file))
    theirs.encode_special_tokens = not specials

    def encode(request):
        return theirs.encode(text_of(request)).ids

    def decode(ids):
        return theirs.decode(ids)

    requests = as_texts(specials) + ([] if specials else as_damaged())
    return compared(f"{case} against tokenizers", context, file, requests, encode, decode if check_text else None)


def byte_characters():
    """GPT-2's printable stand-ins of bytes."""
    own = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {**{b: chr(b) for b in own}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def byte_level(words):
    split = {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [split, plain]}


def added(id, content, special=True, **flags):
    defaults = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": id, "content": content, **defaults, "special": special, **flags}


def template(name, id, end=None):
    """A token before the text, and `end`, a name and an id, behind it."""
    text = [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    tokens = [(name, id)]
    if end:
        text.append({"SpecialToken": {"id": end[0], "type_id": 0}})
        tokens.append(end)
    return {
        "type": "TemplateProcessing",
        "single": text,
        "pair": [*text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [id], "tokens": [name]} for name, id in tokens},
    }


def file_of(model, **parts):
    empty = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, "added_tokens": []}
    return {"version": "1.0", "truncation": None, "padding": None, **empty, **parts, "model": {"type": "BPE", **model}}


BYTE_LEVEL_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
SPACE_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
# As Gemma's: each space ends a piece, and nothing is put before the text.
GEMMA = {
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
    "decoder": {"type": "Sequence", "decoders": SPACE_DECODER["decoders"][:3]},
}
PREPEND_AND_REPLACE = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ],
}


def llama3_as_json(file):
    """The rank file in the form in which the model's tokenizer.json has it."""
    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    characters = byte_characters()
    write = {token: "".join(characters[byte] for byte in token) for token in ranks}
    merges = []
    for token, rank in ranks.items():
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        pairs = [(ranks[a], ranks[b], a, b) for a, b in cuts if a in ranks and b in ranks]
        merges += [(rank, left, right, f"{write[a]} {write[b]}") for left, right, a, b in pairs]
    merges = [merge for *_, merge in sorted(merges)]
    vocab = {write[token]: rank for token, rank in ranks.items()}
    n = len(ranks)
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    byte_level_end = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return file_of(
        {"vocab": vocab, "merges": merges, "ignore_merges": True},
        added_tokens=[added(n + i, name) for i, name in enumerate(names)],
        pre_tokenizer=byte_level(LLAMA3_WORDS),
        post_processor={"type": "Sequence", "processors": [byte_level_end, template(names[0], n)]},
        decoder=BYTE_LEVEL_DECODER,
    )


def llama2_as_json(file):
    """A SentencePiece BPE model as tokenizer.json: every way to cut a piece in two is a merge."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    size = processor.get_piece_size()
    vocab = {processor.id_to_piece(id): id for id in range(size)}
    scores = {processor.id_to_piece(id): processor.get_score(id) for id in range(size)}
    merges = []
    for piece in vocab:
        cuts = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        local = sorted((vocab[a], vocab[b], a, b) for a, b in cuts if a in vocab and b in vocab)
        merges += [(-scores[piece], a, b) for _, _, a, b in local]
    merges.sort(key=lambda merge: merge[0])
    return file_of(
        {"vocab": vocab, "merges": [[a, b] for _, a, b in merges], "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"},
        added_tokens=[added(id, name) for id, name in enumerate(["<unk>", "<s>", "</s>"])],
        normalizer=PREPEND_AND_REPLACE,
        post_processor=template("<s>", 1),
        decoder=SPACE_DECODER,
    )


def trained(pre_tokenizer, normalizer=None, alphabet=()):
    """The vocabulary and merges of a BPE model that `tokenizers` trains on a part of the corpus."""
    import tokenizers
    from tokenizers import models, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    state = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer,
             "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None, "model": json.loads(tokenizer.to_str())["model"]}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(state))
    trainer = trainers.BpeTrainer(vocab_size=3000, initial_alphabet=list(alphabet), limit_alphabet=1200, show_progress=False)
    tokenizer.train_from_iterator([text for i, text in enumerate(texts()) if i % 3 == 0], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": model["merges"]}


def chat_tokens(vocab):
    """Added tokens with every flag; what the vocabulary has keeps its id."""
    tokens = {
        "<|im_start|>": {},
        "<|im_end|>": {"rstrip": True},
        "<tool_call>": {"special": False},
        "[INST]": {"special": False, "lstrip": True, "rstrip": True},
        "fox": {"special": False, "single_word": True},
        "café": {"special": False, "normalized": True},
        "quick brown": {"special": False, "normalized": True, "lstrip": True},
    }
    new = [content for content in tokens if content not in vocab]
    ids = {content: len(vocab) + i for i, content in enumerate(new)}
    return [added(vocab.get(content, ids.get(content)), content, **flags) for content, flags in tokens.items()]


def trained_rows(context, directory):
    alphabet = byte_characters().values()
    digits = {"type": "Digits", "individual_digits": True}
    gpt2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    forms = {
        "qwen2": (byte_level(QWEN_WORDS), {"type": "NFC"}),
        "smollm": ({"type": "Sequence", "pretokenizers": [digits, gpt2]}, None),
        "tekken": (byte_level(TEKKEN_WORDS), None),
        "prefixed": ({**gpt2, "add_prefix_space": True}, {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}]}),
    }
    for name, (pre_tokenizer, normalizer) in forms.items():
        model = trained(pre_tokenizer, normalizer, alphabet)
        parts = {"pre_tokenizer": pre_tokenizer, "normalizer": normalizer, "decoder": BYTE_LEVEL_DECODER}
        file = file_of(model, added_tokens=chat_tokens(model["vocab"]), **parts)
        yield hf_row(context, f"trained {name}", file, directory)
        yield hf_row(context, f"trained {name} with specials", file, directory, specials=True)

    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    model = trained({**metaspace, "split": True, "prepend_scheme": "always"})
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"<0x{byte:02X}>": 3 + byte for byte in range(256)}}
    vocab.update({piece: len(vocab) + i for i, piece in enumerate(p for p in model["vocab"] if p not in vocab)})
    fallback = {"vocab": vocab, "merges": model["merges"], "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    specials = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]
    chat = chat_tokens(vocab)
    shapes = {
        "prepended": {"normalizer": PREPEND_AND_REPLACE},
        "with an end": {"normalizer": PREPEND_AND_REPLACE, "post_processor": template("<s>", 1, ("</s>", 2))},
        "metaspace first": {"pre_tokenizer": metaspace},
        "gemma": GEMMA,
        "metaspace always split": {"pre_tokenizer": {**metaspace, "prepend_scheme": "always", "split": True}},
    }
    for name, parts in shapes.items():
        parts = {"post_processor": template("<s>", 1), "decoder": SPACE_DECODER, **parts}
        file = file_of(fallback, added_tokens=[*specials, *chat], **parts)
        for with_specials in (False, True):
            case = f"trained byte fallback {name}" + (" with specials" if with_specials else "")
            yield hf_row(context, case, file, directory, specials=with_specials)
    # Special and looked for in the normalised text: the package then takes the token's text for no special one's.
    normalized = [added(0, "<unk>"), added(1, "<s>", normalized=True), added(2, "</s>", normalized=True)]
    file = file_of(fallback, added_tokens=normalized, decoder=SPACE_DECODER, **shapes["prepended"])
    yield hf_row(context, "trained normalized specials", file, directory, specials=True, check_text=False)
    unknown = {**fallback, "byte_fallback": False, "fuse_unk": False}
    file = file_of(unknown, added_tokens=specials, decoder=SPACE_DECODER, **shapes["prepended"])
    yield hf_row(context, "trained unknown characters", file, directory)


def rows(context):
    try:
        import sentencepiece  # noqa: F401
        import tiktoken  # noqa: F401
        import tokenizers  # noqa: F401
    except ImportError as error:
        yield Row(f"tokenizers: skipped, {error.name} is not installed", True)
        return
    directory = context.work / "tokenizers"
    directory.mkdir(parents=True, exist_ok=True)
    files = context.shared / "data" / "tokenizers"
    llama2, llama3 = files / "llama2" / "tokenizer.model", files / "llama3" / "tokenizer.model"
    if llama2.exists():
        yield from sentencepiece_rows(context, llama2, "llama2")
        yield hf_row(context, "llama2 as tokenizer.json", llama2_as_json(llama2), directory)
    if llama3.exists():
        yield from tiktoken_rows(context, llama3)
        yield hf_row(context, "llama3 as tokenizer.json", llama3_as_json(llama3), directory)
    yield from trained_rows(context, directory)
