"""Tiny random models made by transformers itself, and their GGUF form by the ggml project's names of tensors and keys."""

from dataclasses import dataclass, field

# Every multiplier, cap and switch is at a value that shows in the logits.
SMALL = dict(
    vocab_size=300,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)


@dataclass
class Made:
    name: str
    classes: str  # of transformers, without Config and ForCausalLM
    config: dict = field(default_factory=dict)
    gguf: str = ""  # general.architecture; empty: there is no GGUF form of this one
    pairs: bool = False  # whose q and k rows converters permute
    vision: bool = False  # the text part of a model that sees as well


MADE = [
    Made("llama, biases", "Llama", dict(attention_bias=True, mlp_bias=True), "llama", pairs=True),
    Made("qwen3, biases", "Qwen3", dict(attention_bias=True, head_dim=32)),
    Made(
        "granite",
        "Granite",
        dict(
            embedding_multiplier=12.0,
            attention_multiplier=0.09,
            residual_multiplier=0.22,
            logits_scaling=8.0,
            attention_bias=True,
            mlp_bias=True,
        ),
        "granite",
        pairs=True,
    ),
    Made("granite, tied", "Granite", dict(logits_scaling=3.0, tie_word_embeddings=True), "granite", pairs=True),
    Made("smollm3", "SmolLM3", dict(), "smollm3", pairs=True),
    Made("smollm3, other layers", "SmolLM3", dict(no_rope_layers=[0, 1, 1, 0, 0, 1], attention_bias=True, mlp_bias=True)),
    Made("olmo2", "Olmo2", dict(), "olmo2"),
    Made("gemma2", "Gemma2", dict(head_dim=32, query_pre_attn_scalar=32, sliding_window=16), "gemma2"),
    Made(
        "gemma2, other caps",
        "Gemma2",
        dict(head_dim=32, query_pre_attn_scalar=40, sliding_window=16, attn_logit_softcapping=2.0,
             final_logit_softcapping=5.0),
    ),
    Made(
        "gemma3",
        "Gemma3",
        dict(head_dim=32, query_pre_attn_scalar=32, sliding_window=16,
             rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                                  sliding_attention=dict(rope_type="default", rope_theta=1e4))),
        "gemma3",
    ),
    Made(
        "gemma3, other layers",
        "Gemma3",
        dict(head_dim=32, query_pre_attn_scalar=40, sliding_window=16, final_logit_softcapping=5.0,
             layer_types=["full_attention", "sliding_attention", "sliding_attention"] * 2),
    ),
    Made("gemma3 with a vision part", "Gemma3", dict(num_attention_heads=8, num_key_value_heads=4, head_dim=32,
                                                     query_pre_attn_scalar=32, sliding_window=16), vision=True),
]

VISION = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)



def make(made, directory):
    """Writes the model's Hugging Face form, with norms and biases that are not what they begin as."""
    import torch
    import transformers

    torch.manual_seed(7)
    transformers.logging.set_verbosity_error()
    sizes = {**SMALL, **made.config}
    if made.vision:
        config = transformers.Gemma3Config(text_config=sizes, vision_config=VISION, mm_tokens_per_image=4)
        model = transformers.Gemma3ForConditionalGeneration(config)
    else:
        text = "Text" if made.classes == "Gemma3" else ""
        config = getattr(transformers, f"{made.classes}{text}Config")(**sizes)
        model = getattr(transformers, f"{made.classes}ForCausalLM")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.5 if "embed" in name else 1.5) / parameter.shape[1] ** 0.5)
    model.save_pretrained(directory)
    return directory


def permuted(tensor, heads):
    """RoPE's channels from halves to pairs, as the converter of llama's architecture stores them."""
    rows = tensor.shape[0]
    return tensor.reshape(heads, 2, rows // heads // 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


# Numbers of config.json that have keys of their own.
NUMBERS = {
    "attention_multiplier": "add_attention_scale",
    "embedding_multiplier": "add_embedding_scale",
    "residual_multiplier": "add_residual_scale",
    "logits_scaling": "add_logit_scale",
    "attn_logit_softcapping": "add_attn_logit_softcapping",
    "final_logit_softcapping": "add_final_logit_softcapping",
    "sliding_window": "add_sliding_window",
}


def to_gguf(made, source, directory):
    """The same model as a GGUF."""
    import gguf
    import numpy as np
    import transformers
    from safetensors.numpy import load_file

    directory.mkdir(parents=True, exist_ok=True)
    config = transformers.AutoConfig.from_pretrained(source)
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == made.gguf)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    writer = gguf.GGUFWriter(directory / "model.gguf", made.gguf)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    write_rope(config, writer)
    for key, add in NUMBERS.items():
        if getattr(config, key, None) is not None:
            getattr(writer, add)(getattr(config, key))
    for name, tensor in load_file(source / "model.safetensors").items():
        stem, ending = name.rsplit(".", 1)
        if made.pairs and stem.endswith(("q_proj", "k_proj")):
            tensor = permuted(tensor, config.num_attention_heads if "q_proj" in stem else config.num_key_value_heads)
        if made.gguf.startswith("gemma") and name.endswith("norm.weight"):
            tensor = tensor + 1
        writer.add_tensor(f"{names.get_name(stem)}.{ending}", np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return directory


def write_rope(config, writer):
    import gguf

    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
