#!/usr/bin/env python3
"""Trains the demo model: SentencePiece tokenizer and Llama, from the stories of make_corpus.py.

  make_corpus.py --stories 40000 --seed 1 --out /tmp/corpus.txt
  make_corpus.py --stories 500 --seed 2 --out /tmp/held_out_corpus.txt
  train.py --corpus /tmp/corpus.txt --held-out /tmp/held_out_corpus.txt --out demo

Needs torch and sentencepiece, runs on one CPU core. Writes tokenizer.model, model.pth (a state dict
in fp16 under Meta's names, the output tied to the embedding) and params.json into the output folder.
The defaults made the committed model; README.md has the figures.
"""
import argparse
import json
import math
import os
import time

import sentencepiece
import torch
import torch.nn.functional as F
from torch import nn

import story_words as words

PARAMS = {
    "dim": 128,
    "n_layers": 6,
    "n_heads": 4,
    "n_kv_heads": 2,
    "vocab_size": 1024,
    "hidden_dim": 384,
    "norm_eps": 1e-5,
    "rope_theta": 10000.0,
}
HEAD_DIM = PARAMS["dim"] // PARAMS["n_heads"]


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(PARAMS["dim"]))

    def forward(self, x):
        return F.rms_norm(x, (PARAMS["dim"],), self.weight, PARAMS["norm_eps"])


def linear(n_in, n_out, scale=1):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(layer.weight, std=scale * n_in**-0.5)
    return layer


def rotate(x, cos, sin):
    """RoPE on neighbouring pairs (2i, 2i+1), as Llama's checkpoints want it. x: [B, T, heads, HEAD_DIM]"""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        kv_dim = PARAMS["n_kv_heads"] * HEAD_DIM
        self.wq = linear(PARAMS["dim"], PARAMS["dim"])
        self.wk = linear(PARAMS["dim"], kv_dim)
        self.wv = linear(PARAMS["dim"], kv_dim)
        self.wo = linear(PARAMS["dim"], PARAMS["dim"], scale=0)

    def forward(self, x, cos, sin):
        q, k, v = (w(x).unflatten(-1, (-1, HEAD_DIM)) for w in (self.wq, self.wk, self.wv))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        groups = PARAMS["n_heads"] // PARAMS["n_kv_heads"]
        k, v = (t.repeat_interleave(groups, dim=2) for t in (k, v))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(y.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = linear(PARAMS["dim"], PARAMS["hidden_dim"])
        self.w2 = linear(PARAMS["hidden_dim"], PARAMS["dim"], scale=0)
        self.w3 = linear(PARAMS["dim"], PARAMS["hidden_dim"])

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.attention = RmsNorm(), Attention()
        self.ffn_norm, self.feed_forward = RmsNorm(), FeedForward()

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_embeddings = nn.Embedding(PARAMS["vocab_size"], PARAMS["dim"])
        nn.init.normal_(self.tok_embeddings.weight, std=PARAMS["dim"] ** -0.5)
        self.layers = nn.ModuleList(Block() for _ in range(PARAMS["n_layers"]))
        self.norm = RmsNorm()

    def forward(self, ids):
        """ids: [B, T] -> logits [B, T, vocab_size]"""
        frequencies = PARAMS["rope_theta"] ** -(torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angles = torch.outer(torch.arange(ids.shape[1]), frequencies)[:, None, :]  # [T, 1, HEAD_DIM / 2]
        x = self.tok_embeddings(ids)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin())
        return F.linear(self.norm(x), self.tok_embeddings.weight)


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is made (nearly) orthogonal by Newton-Schulz steps: learns
    from far fewer stories than Adam does. (K. Jordan et al., 2024)"""

    def __init__(self, matrices, lr):
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 0.05)
                update = p.grad.lerp(momentum, 0.95)
                tall = update.shape[0] > update.shape[1]
                x = update.T if tall else update
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = x.T if tall else x
                p.mul_(1 - 0.01 * group["lr"]).add_(x, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def read_stories(path):
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\n").split("\n===\n")


def train_tokenizer(stories, path):
    """A vocabulary like Llama 2's: BPE, byte fallback, text left as it is, BOS 1, EOS 2."""
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for story in stories for line in story.split("\n") if line), model_writer=file,
            model_type="bpe", vocab_size=PARAMS["vocab_size"], byte_fallback=True, split_digits=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=1.0,
            num_threads=1, minloglevel=1)


def make_batches(stories, tokenizer, size):
    """Stories as lists of ids, in batches of similar length."""
    ids = [[tokenizer.bos_id()] + tokenizer.encode(story) + [tokenizer.eos_id()] for story in stories]
    batches = []
    for start in range(0, len(ids), 64 * size):
        chunk = sorted(ids[start : start + 64 * size], key=len)
        chunk = [chunk[i : i + size] for i in range(0, len(chunk), size)]
        batches += [chunk[i] for i in torch.randperm(len(chunk))]
    return batches


def token_losses(model, batch):
    """-> the loss of every next token and the tokens, both [tokens of all stories]"""
    rows = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in batch], batch_first=True, padding_value=-1)
    inputs, targets = rows[:, :-1].clamp(min=0), rows[:, 1:].flatten()
    losses = F.cross_entropy(model(inputs).flatten(0, 1), targets, ignore_index=-1, reduction="none")
    return losses[targets >= 0], targets[targets >= 0]


def cast_tokens(tokenizer):
    """[vocab_size] bool: the pieces of people's names and of the grown-ups in a family."""
    names = words.GIRLS + words.BOYS + words.SHE_ANIMALS + words.HE_ANIMALS + [elder for elder, _ in words.ELDERS]
    is_cast = torch.zeros(PARAMS["vocab_size"], dtype=torch.bool)
    is_cast[[piece for name in names for piece in tokenizer.encode(name)]] = True
    return is_cast


@torch.no_grad()
def evaluate(model, batches, is_cast):
    """-> the mean loss of all tokens and that of the cast's names"""
    losses, targets = (torch.cat(parts) for parts in zip(*(token_losses(model, batch) for batch in batches)))
    return losses.mean().item(), losses[is_cast[targets]].mean().item()


@torch.no_grad()
def tell(model, tokenizer, prompt, temperature, limit=300):
    ids = [tokenizer.bos_id()] + tokenizer.encode(prompt)
    while len(ids) < limit and ids[-1] != tokenizer.eos_id():
        logits = model(torch.tensor([ids]))[0, -1]
        ids.append(logits.argmax().item() if temperature == 0 else
                   torch.multinomial((logits / temperature).softmax(-1), 1).item())
    return tokenizer.decode(ids) + (" <end>" if ids[-1] == tokenizer.eos_id() else " ...")


def save(model, folder):
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    state["output.weight"] = state["tok_embeddings.weight"]  # one storage under two names
    torch.save(state, os.path.join(folder, "model.pth"))
    with open(os.path.join(folder, "params.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(PARAMS, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8, help="stories a step")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    stories = read_stories(args.corpus)
    tokenizer_path = os.path.join(args.out, "tokenizer.model")
    train_tokenizer(stories, tokenizer_path)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=tokenizer_path)
    batches = make_batches(stories, tokenizer, args.batch)
    held_out = make_batches(read_stories(args.held_out)[:64], tokenizer, args.batch)
    is_cast = cast_tokens(tokenizer)
    model = Llama()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(batches)} batches of {args.batch} stories")

    # What adds to the residual stream learns slowly: else it drowns the embedding of the token, and
    # with it all that attention could carry over (who the story is about).
    matrices = {name: p for name, p in model.layers.named_parameters() if p.ndim == 2}
    writers = [p for name, p in matrices.items() if name.endswith(("wo.weight", "w2.weight"))]
    readers = [p for name, p in matrices.items() if not name.endswith(("wo.weight", "w2.weight"))]
    others = [model.tok_embeddings.weight] + [p for p in model.parameters() if p.ndim == 1]
    optimizers = [Muon(readers, lr=0.01), Muon(writers, lr=0.001),
                  torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.95), weight_decay=0)]
    peaks = [o.param_groups[0]["lr"] for o in optimizers]
    started = time.time()
    for step in range(args.steps):
        # Constant after a short warm-up, then down to zero over the last 40 %.
        pace = min((step + 1) / 30, 1, (args.steps - step) / (0.4 * args.steps))
        for optimizer, peak in zip(optimizers, peaks):
            optimizer.param_groups[0]["lr"] = peak * pace
        losses, targets = token_losses(model, batches[step % len(batches)])
        # Names count three times: a story that mixes up its people is the worse mistake.
        (losses * (1 + 2 * is_cast[targets])).mean().backward()
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()
        if (step + 1) % 50 == 0 or step + 1 == args.steps:
            print(f"step {step + 1} loss {losses.mean():.4f} after {time.time() - started:.0f} s", flush=True)
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            save(model, args.out)
            value, of_names = evaluate(model, held_out, is_cast)
            print(f"held-out loss {value:.4f} (perplexity {math.exp(value):.3f}), of names {of_names:.3f}", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            for temperature in (0, 0.8):
                print(f"[temperature {temperature}]", tell(model, tokenizer, "Once upon a time", temperature), flush=True)


if __name__ == "__main__":
    main()
