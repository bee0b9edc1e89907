#!/usr/bin/env python3
"""llama.cpp as a peer of bench_peers.py, quality.py and the conformance suite; needs llama-cpp-python, and gguf
and numpy to make models.

  llama_peer.py make PARAMS.json FORMAT OUT.gguf   random weights of a shape; FORMAT: f32, f16, q8_0,
                                                   q4_0 (head at 6 bits), q4_0_pure (4 bits throughout)
  llama_peer.py serve FILE.gguf THREADS            measures what it is asked for: reads test names
                                                   ("pp512", "tg64@512") from stdin, line by line, and
                                                   answers each with a line of JSON
  llama_peer.py requantise IN.gguf TYPE OUT.gguf   TYPE as llama.cpp names it: Q8_0, Q6_K, Q4_K_M, Q4_0, IQ4_XS
  llama_peer.py evaluate FILE.gguf IDS WINDOW THREADS
                                                   the perplexity of ids in a file, the first of which is given, in
                                                   windows as `diptych eval --ids` makes them, and the speed of
                                                   decoding, as JSON; 0 threads: all CPUs
  llama_peer.py about                              llama.cpp's commit and the instruction sets that it uses, as JSON
  llama_peer.py tokenize FILE.gguf                 the ids of stdin, without BOS, as JSON
"""
import ctypes
import json
import math
import os
import random
import sys
import time

from timed_peer import Timed, peak_bytes, serve

FTYPES = {"q4_0": 2, "q4_0_pure": 2, "q8_0": 7}
# llama_ftype by name, of what real models are requantised to.
TYPES = {"Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18, "IQ4_XS": 30}
ERROR_LEVEL = 4


def open_library():
    import llama_cpp.llama_cpp as library

    @library.llama_log_callback
    def log(level, text, _):
        if level == ERROR_LEVEL:
            sys.stderr.write(text.decode(errors="replace"))

    library.llama_log_set(log, ctypes.c_void_p(0))
    library.keep_log = log  # called for as long as the library is
    library.llama_backend_init()
    return library


def copy_tokenizer(source, writer):
    import gguf

    for field in gguf.GGUFReader(source).fields.values():
        if field.name.startswith("tokenizer."):
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None)


def write_random(params, kind, path, tokenizer=None):
    """Weights in f32, f16 or q4_0, head and embedding too; with the tokenizer of another GGUF, or none."""
    import gguf
    import numpy

    dim, heads, vocab = params["dim"], params["n_heads"], params["vocab_size"]
    kv_heads = params.get("n_kv_heads") or heads
    head_dim = params.get("head_dim") or dim // heads
    hidden = params["hidden_dim"]
    element = numpy.float16 if kind == "f16" else numpy.float32
    generator = numpy.random.default_rng(1)
    # Every matrix is a stretch of the same numbers: what they are does not matter, only how many.
    pool = generator.normal(0, 0.02, 1 << 20).astype(element)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type({"f32": 0, "f16": 1, "q4_0": 2}[kind])
    writer.add_vocab_size(vocab)
    writer.add_context_length(params.get("max_seq_len") or 8192)
    writer.add_embedding_length(dim)
    writer.add_block_count(params["n_layers"])
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(params["rope_theta"])
    writer.add_layer_norm_rms_eps(params["norm_eps"])
    if tokenizer is None:
        writer.add_tokenizer_model("no_vocab")
    else:
        copy_tokenizer(tokenizer, writer)

    def add_matrix(name, rows, columns):
        start = int(generator.integers(pool.size))
        weight = numpy.resize(pool[start:], (rows, columns))
        if kind == "q4_0":
            blocks = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q4_0)
            writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
        else:
            writer.add_tensor(name, weight)

    def add_norm(name):
        writer.add_tensor(name, numpy.ones(dim, numpy.float32))

    add_matrix("token_embd.weight", vocab, dim)  # the head too
    for layer in range(params["n_layers"]):
        prefix = f"blk.{layer}."
        add_norm(prefix + "attn_norm.weight")
        add_matrix(prefix + "attn_q.weight", heads * head_dim, dim)
        add_matrix(prefix + "attn_k.weight", kv_heads * head_dim, dim)
        add_matrix(prefix + "attn_v.weight", kv_heads * head_dim, dim)
        add_matrix(prefix + "attn_output.weight", dim, heads * head_dim)
        add_norm(prefix + "ffn_norm.weight")
        add_matrix(prefix + "ffn_gate.weight", hidden, dim)
        add_matrix(prefix + "ffn_up.weight", hidden, dim)
        add_matrix(prefix + "ffn_down.weight", dim, hidden)
    add_norm("output_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantise(library, source, out, ftype, **more):
    options = library.llama_model_quantize_default_params()
    options.ftype = ftype
    for name, value in more.items():
        setattr(options, name, value)
    if library.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(options)) != 0:
        sys.exit(f"llama_peer: llama.cpp cannot quantise {source} to type {ftype}")


def make(params_path, kind, out):
    with open(params_path) as file:
        params = json.load(file)
    unfinished = out + ".part"
    if kind in ("f32", "f16"):
        write_random(params, kind, unfinished)
    else:
        source = unfinished + "16"
        write_random(params, "f16", source)
        quantise(open_library(), source, unfinished, FTYPES[kind], pure=kind == "q4_0_pure")
        os.remove(source)
    os.replace(unfinished, out)


def requantise(source, kind, out):
    quantise(open_library(), source, out, TYPES[kind], allow_requantize=True)


class Model(Timed):
    def __init__(self, path, threads):
        super().__init__()
        self.library = open_library()
        self.threads = threads or os.cpu_count()
        before = peak_bytes()
        begin = time.perf_counter()
        self.model = self.library.llama_model_load_from_file(
            path.encode(), self.library.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama_peer: llama.cpp cannot load {path}")
        self.facts = {"load_seconds": time.perf_counter() - begin, "peak_before_load": before,
                      "weight_bytes": self.library.llama_model_size(self.model)}
        self.vocab = self.library.llama_vocab_n_tokens(self.library.llama_model_get_vocab(self.model))

    def context(self, length):
        options = self.library.llama_context_default_params()
        options.n_ctx = options.n_batch = length
        options.n_threads = options.n_threads_batch = self.threads
        return self.library.llama_init_from_model(self.model, options)

    def nll(self, context, inputs, targets):
        """Nats of all targets[i] after inputs[0..i], from an empty cache."""
        library = self.library
        library.llama_memory_clear(library.llama_get_memory(context), False)
        batch = library.llama_batch_init(len(inputs), 0, 1)
        batch.n_tokens = len(inputs)
        for i, token in enumerate(inputs):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        if library.llama_decode(context, batch) != 0:
            sys.exit("llama_peer: llama_decode failed")
        total = 0.0
        for i, target in enumerate(targets):
            logits = library.llama_get_logits_ith(context, i)[: self.vocab]
            largest = max(logits)
            total += largest + math.log(math.fsum(math.exp(x - largest) for x in logits)) - logits[target]
        library.llama_batch_free(batch)
        return total

    def feed(self, context, count):
        tokens = (self.library.llama_token * count)(*(random.randrange(self.vocab) for _ in range(count)))
        if self.library.llama_decode(context, self.library.llama_batch_get_one(tokens, count)) != 0:
            sys.exit("llama_peer: llama_decode failed")
        self.library.llama_synchronize(context)

    def sequences(self, tokens):
        context = self.context(tokens)
        try:
            while True:
                self.library.llama_memory_clear(self.library.llama_get_memory(context), False)
                yield context
        finally:
            self.library.llama_free(context)


def evaluate(path, ids_path, window, threads):
    with open(ids_path) as file:
        ids = [int(word) for word in file.read().split()]
    model = Model(path, threads)
    context = model.context(window)
    positions = len(ids) - 1
    nll = 0.0
    for begin in range(0, positions, window):
        end = min(begin + window, positions)
        nll += model.nll(context, ids[begin:end], ids[begin + 1 : end + 1])
    speed = model.measure("tg64")["tokens_per_second"]
    print(json.dumps({"perplexity": math.exp(nll / positions), "positions": positions, "tokens_per_second": speed}))


def tokenize(path):
    library = open_library()
    options = library.llama_model_default_params()
    options.vocab_only = True
    model = library.llama_model_load_from_file(path.encode(), options)
    if not model:
        sys.exit(f"llama_peer: llama.cpp cannot load {path}")
    text = sys.stdin.buffer.read()
    ids = (library.llama_token * (len(text) + 1))()
    count = library.llama_tokenize(library.llama_model_get_vocab(model), text, len(text), ids, len(ids), False, False)
    print(json.dumps(ids[:count]))


def serve_model(path, threads):
    serve(Model(path, threads))


def about():
    """ggml is built with llama.cpp, from its repository's commit."""
    library = open_library()
    folder = os.path.join(os.path.dirname(library.__file__), "lib")
    commit = "of an unknown commit"
    try:
        ggml = ctypes.CDLL(os.path.join(folder, "libggml-base.so"))
        ggml.ggml_commit.restype = ctypes.c_char_p
        commit = ggml.ggml_commit().decode()
    except (OSError, AttributeError):
        pass  # an older one says nothing of itself
    parts = library.llama_print_system_info().decode().split("|")
    features = [part.split(" = 1")[0].split(":")[-1].strip() for part in parts if " = 1" in part]
    print(json.dumps({"commit": commit, "features": features}))


COMMANDS = {
    "about": (about, []),
    "make": (make, [str, str, str]),
    "serve": (serve_model, [str, int]),
    "requantise": (requantise, [str, str, str]),
    "evaluate": (evaluate, [str, str, int, int]),
    "tokenize": (tokenize, [str]),
}

if __name__ == "__main__":
    command, kinds = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, []))
    if command is None or len(sys.argv) != 2 + len(kinds):
        sys.exit(__doc__)
    command(*(kind(argument) for kind, argument in zip(kinds, sys.argv[2:])))
