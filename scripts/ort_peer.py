#!/usr/bin/env python3
"""ONNX Runtime as a peer of bench_peers.py; needs onnxruntime-genai, and torch, transformers, onnx and onnx-ir to
make models.

  ort_peer.py make HF_FOLDER FORMAT OUT     builds a model of a checkpoint; FORMAT: ort_int4 (weights of 4 bits with a
                                            scale per 32 columns, head included, met by activations in int8; a
                                            tied table of embeddings is the head's), ort_fp32
  ort_peer.py serve FOLDER THREADS          measures what it is asked for: reads test names ("pp512", "tg64@512")
                                            from stdin, line by line, and answers each with a line of JSON
  ort_peer.py version                       the versions of both libraries
"""
import json
import os
import random
import shutil
import subprocess
import sys
import time

from timed_peer import Timed, peak_bytes, serve

PRECISIONS = {"ort_int4": "int4", "ort_fp32": "fp32"}
# The last row of a prompt alone meets the head, as in the other programs.
BUILDER_OPTIONS = ["prune_lm_head=true", "block_size=32", "accuracy_level=4"]
FACTS = "bench_facts.json"


def write_tokenizer(folder):
    """The builder copies a tokenizer, whatever it is."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "a", "bos_token": "a",
                   "eos_token": "b", "pad_token": "b"}, file)


def make(source, kind, out):
    import onnx_ir

    unfinished, cache = out + ".part", out + ".cache"
    shutil.rmtree(unfinished, ignore_errors=True)
    write_tokenizer(source)
    subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", unfinished, "-p",
                    PRECISIONS[kind], "-e", "cpu", "-c", cache, "--extra_options", *BUILDER_OPTIONS],
                   check=True, stdout=sys.stderr)
    shutil.rmtree(cache, ignore_errors=True)
    with open(os.path.join(source, "config.json")) as file:
        config = json.load(file)
    # Of a table of embeddings that is not the head, a token reads a row.
    weights = onnx_ir.load(os.path.join(unfinished, "model.onnx")).graph.initializers
    facts = {"vocab_size": config["vocab_size"],
             "weight_bytes": sum(value.const_value.nbytes for name, value in weights.items()
                                 if "embed_tokens" not in name)}
    with open(os.path.join(unfinished, FACTS), "w") as file:
        json.dump(facts, file)
    os.rename(unfinished, out)


class Model(Timed):
    def __init__(self, folder, threads):
        import onnxruntime_genai as library

        super().__init__()
        self.library = library
        with open(os.path.join(folder, FACTS)) as file:
            facts = json.load(file)
        self.vocab = facts["vocab_size"]
        before = peak_bytes()
        begin = time.perf_counter()
        config = library.Config(folder)
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
        self.model = library.Model(config)
        self.facts = {"load_seconds": time.perf_counter() - begin, "peak_before_load": before,
                      "weight_bytes": facts["weight_bytes"]}

    def sequences(self, tokens):
        while True:
            parameters = self.library.GeneratorParams(self.model)
            parameters.set_search_options(max_length=tokens + 1, do_sample=False)
            yield self.library.Generator(self.model, parameters)

    def feed(self, generator, count):
        generator.append_tokens([random.randrange(self.vocab) for _ in range(count)])


def serve_model(folder, threads):
    serve(Model(folder, threads))


def version():
    import onnxruntime
    import onnxruntime_genai

    print(f"onnxruntime-genai {onnxruntime_genai.__version__} with onnxruntime {onnxruntime.__version__}")


COMMANDS = {"make": (make, [str, str, str]), "serve": (serve_model, [str, int]), "version": (version, [])}

if __name__ == "__main__":
    command, kinds = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, []))
    if command is None or len(sys.argv) != 2 + len(kinds):
        sys.exit(__doc__)
    command(*(kind(argument) for kind, argument in zip(kinds, sys.argv[2:])))
