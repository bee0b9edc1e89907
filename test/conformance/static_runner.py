"""A runner in the manner of upstream's static attention, of any file of ours in the stock runtime: a mask for each length of
cache, ring caches that are indexed by the absolute position, and masks that hide what is outside of each row's window."""


class Runner:
    """Runs the functions of a file, or those that compute with one of its adapters."""

    def __init__(self, path, adapter=""):
        from executorch.runtime import Runtime

        self.program = Runtime.get().load_program(str(path))
        self.names = self.program.method_names
        several = "prefill" in self.names
        of_several = sorted(name for name in self.names if name != "forward" and f"{name}_input_len" in self.names)
        self.methods = [self.describe("forward", "decode_" if several else "", adapter)]
        self.methods += [self.describe(name, f"{name}_", adapter) for name in of_several]
        self.methods.sort(key=lambda method: method["tokens"])
        count = len(self.methods[0]["caches"])
        self.windows = self.constant("layer_windows").tolist() if "layer_windows" in self.names else [0] * count
        tables = 1 + max(self.constant("layer_rope_tables").tolist()) if "layer_rope_tables" in self.names else 1
        self.tables = [[self.constant(f"freqs_{kind}" + (f"_{i}" if i else "")) for kind in ("cos", "sin")]
                       for i in range(tables)]
        self.dtype = self.tables[0][0].dtype
        self.reset()

    def constant(self, name):
        return self.program.load_method(name).execute([])[0].clone()

    def describe(self, name, prefix, adapter):
        method = self.program.load_method(f"{name}__{adapter}" if adapter else name)
        metadata = method.metadata
        shapes = [tuple(metadata.input_tensor_meta(i).sizes()) for i in range(metadata.num_inputs())]
        places = {key: self.constant(f"{prefix}{key}").tolist()
                  for key in ("tokens_input_index", "freqs_cos_input_index", "freqs_sin_input_index", "mask_specs",
                              "kv_cache_specs")}
        last = f"{prefix}last_valid_token_pos_input_index"
        return dict(name=name, method=method, shapes=shapes, tokens=shapes[places["tokens_input_index"][0]][1],
                    places=places, caches=places["kv_cache_specs"],
                    last=self.constant(last).item() if last in self.names else None)

    def reset(self):
        import torch

        self.position = 0
        shapes = self.methods[0]["shapes"]
        self.cached = [[torch.zeros(shapes[row[0]], dtype=self.dtype), torch.zeros(shapes[row[2]], dtype=self.dtype)]
                       for row in self.methods[0]["caches"]]

    def mask(self, length, window, tokens):
        """[1, T, C + T] for caches of this length."""
        import torch

        window = window or 1 << 30
        positions = self.position + torch.arange(tokens)
        slots = torch.arange(length)
        if window < 1 << 30:  # slot s holds the latest token whose position is s modulo the length
            slots = self.position - 1 - (self.position - 1 - slots) % length
        columns = torch.cat([slots, positions])
        there = torch.cat([(slots >= 0) & (slots < self.position), torch.ones(tokens, dtype=torch.bool)])
        rows = positions.unsqueeze(1)
        seen = there & (columns <= rows) & (columns > rows - window)
        return torch.where(seen, 0.0, float("-inf")).unsqueeze(0).to(self.dtype)

    def evaluate(self, tokens, function=None):
        """The logits of one call: after each token, or after the last. Without a name, of the smallest function that
        takes all the tokens."""
        import torch

        if function is None:
            call = next((m for m in self.methods if m["tokens"] >= len(tokens)), self.methods[-1])
        else:
            call = next(m for m in self.methods if m["name"] == function)
        size, places, count = call["tokens"], call["places"], len(tokens)
        inputs = [None] * len(call["shapes"])
        inputs[places["tokens_input_index"][0]] = torch.tensor([tokens + [0] * (size - count)], dtype=torch.int32)
        for index, length in places["mask_specs"]:
            layer = next(i for i, row in enumerate(call["caches"]) if row[4] == length)
            inputs[index] = self.mask(length, self.windows[layer], size)
        for kind, key in enumerate(("freqs_cos_input_index", "freqs_sin_input_index")):
            for table, index in enumerate(places[key]):
                rows = (self.position + torch.arange(size)).clamp(max=len(self.tables[table][kind]) - 1)
                inputs[index] = self.tables[table][kind][rows].contiguous()
        for layer, row in enumerate(call["caches"]):
            inputs[row[0]], inputs[row[2]] = self.cached[layer]
        if call["last"] is not None:
            inputs[call["last"]] = torch.tensor([count - 1])
        outputs = call["method"].execute(inputs)
        layers = len(call["caches"])
        for layer, row in enumerate(call["caches"]):
            kept = torch.arange(max(0, count - row[4]), count)
            slots = (self.position + kept) % row[4]
            for cache, fresh in zip(self.cached[layer], (outputs[1 + layer], outputs[1 + layers + layer])):
                cache[:, :, slots] = fresh[:, :, kept]
        self.position += count
        return outputs[0].reshape(-1, outputs[0].shape[-1]).float().clone()[: count if call["last"] is None else 1]
