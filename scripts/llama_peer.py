#!/usr/bin/env python3
"""llama.cpp as a peer of bench_peers.py; needs llama-cpp-python, gguf and numpy.

  llama_peer.py make PARAMS.json FORMAT OUT.gguf   random weights of a shape; FORMAT: f32, f16, q8_0,
                                                   q4_0 (head at 6 bits), q4_0_pure (4 bits throughout)
  llama_peer.py serve FILE.gguf THREADS            measures what it is asked for: reads test names
                                                   ("pp512", "tg64@512") from stdin, line by line, and
                                                   answers each with a line of JSON
"""
import ctypes
import json
import os
import random
import resource
import sys
import time

FTYPES = {"q4_0": 2, "q4_0_pure": 2, "q8_0": 7}
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


def write_random(params, is_f32, path):
    import gguf
    import numpy

    dim, heads, vocab = params["dim"], params["n_heads"], params["vocab_size"]
    kv_heads = params.get("n_kv_heads") or heads
    head_dim = params.get("head_dim") or dim // heads
    hidden = params["hidden_dim"]
    element = numpy.float32 if is_f32 else numpy.float16
    generator = numpy.random.default_rng(1)
    # Every matrix is a stretch of the same numbers: what they are does not matter, only how many.
    pool = generator.normal(0, 0.02, 1 << 20).astype(element)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(0 if is_f32 else 1)
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
    writer.add_tokenizer_model("no_vocab")

    def add_matrix(name, rows, columns):
        start = int(generator.integers(pool.size))
        writer.add_tensor(name, numpy.resize(pool[start:], (rows, columns)))

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


def make(params_path, kind, out):
    with open(params_path) as file:
        params = json.load(file)
    unfinished = out + ".part"
    if kind in ("f32", "f16"):
        write_random(params, kind == "f32", unfinished)
    else:
        source = unfinished + "16"
        write_random(params, False, source)
        library = open_library()
        options = library.llama_model_quantize_default_params()
        options.ftype = FTYPES[kind]
        options.pure = kind == "q4_0_pure"
        status = library.llama_model_quantize(source.encode(), unfinished.encode(), ctypes.byref(options))
        os.remove(source)
        if status != 0:
            sys.exit(f"llama_peer: llama.cpp cannot quantise to {kind}")
    os.replace(unfinished, out)


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Model:
    def __init__(self, path, threads):
        self.library = open_library()
        self.threads = threads
        self.warm = set()
        before = peak_bytes()
        begin = time.perf_counter()
        self.model = self.library.llama_model_load_from_file(
            path.encode(), self.library.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama_peer: llama.cpp cannot load {path}")
        self.facts = {"load_seconds": time.perf_counter() - begin, "peak_before_load": before,
                      "weight_bytes": self.library.llama_model_size(self.model)}
        self.vocab = self.library.llama_vocab_n_tokens(self.library.llama_model_get_vocab(self.model))

    def feed(self, context, count):
        tokens = (self.library.llama_token * count)(*(random.randrange(self.vocab) for _ in range(count)))
        if self.library.llama_decode(context, self.library.llama_batch_get_one(tokens, count)) != 0:
            sys.exit("llama_peer: llama_decode failed")
        self.library.llama_synchronize(context)

    def measure(self, test):
        """Tokens per second, after the same once untimed when the test is asked for first."""
        kind, (count, depth) = test[:2], (int(n) for n in (test[2:] + "@0").split("@")[:2])
        options = self.library.llama_context_default_params()
        options.n_ctx = count + depth
        options.n_batch = max(count, depth)
        options.n_threads = options.n_threads_batch = self.threads
        context = self.library.llama_init_from_model(self.model, options)
        memory = self.library.llama_get_memory(context)
        seconds = 0
        for _ in range(1 if test in self.warm else 2):
            self.library.llama_memory_clear(memory, False)
            if depth:
                self.feed(context, depth)
            begin = time.perf_counter()
            for _ in range(1 if kind == "pp" else count):
                self.feed(context, count if kind == "pp" else 1)
            seconds = time.perf_counter() - begin
        self.warm.add(test)
        self.library.llama_free(context)
        return {"tokens_per_second": count / seconds, "peak_memory_bytes": peak_bytes(), **self.facts}


def serve(path, threads):
    model = Model(path, threads)
    for line in sys.stdin:
        print(json.dumps(model.measure(line.strip())), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "make":
        make(*sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(__doc__)
