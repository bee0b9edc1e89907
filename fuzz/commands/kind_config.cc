// A Hugging Face directory: config.json, and what may lie beside it.

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"

namespace diptych::fuzz {

namespace {

constexpr JsonMember kConfig[] = {
    {"model_type", R"("mistral")"},
    {"architectures", R"(["Qwen2ForCausalLM"])"},
    {"head_dim", "16"},
    {"rope_theta", "500000"},
    {"rope_scaling", R"({"rope_type":"linear","factor":2.0})"},
    {"rope_scaling",
     R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192})"},
    {"rope_scaling", R"({"type":"yarn","factor":4.0})"},
    {"rope_scaling", R"({"type":"longrope","short_factor":[1],"long_factor":[1]})"},
    {"rope_parameters", R"({"rope_type":"default","rope_theta":10000.0})"},
    {"partial_rotary_factor", "0.5"},
    {"sliding_window", "64"},
    {"use_sliding_window", "true"},
    {"layer_types", R"(["full_attention","sliding_attention"])"},
    {"attention_bias", "true"},
    {"mlp_bias", "true"},
    {"hidden_act", R"("gelu")"},
    {"tie_word_embeddings", "false"},
    {"torch_dtype", R"("float8")"},
    {"quantization_config", R"({"quant_method":"awq","bits":4})"},
    {"bos_token_id", "1"},
    {"eos_token_id", "[1,2]"},
    {"_name_or_path", R"("some/model")"},
    {"num_experts", "8"},
    {"max_position_embeddings", "1"},
    {"vocab_size", "543"},
    {"text_config", R"({"hidden_size":32})"},
    {"pretraining_tp", "2"},
    {"auto_map", R"({"AutoModel":"x.py"})"},
};
constexpr JsonMember kGeneration[] = {
    {"do_sample", "true"},
    {"temperature", "0.6"},
    {"top_k", "50"},
    {"top_k", "-1"},
    {"top_p", "0.9"},
    {"min_p", "0.1"},
    {"eos_token_id", "[1,2,3]"},
    {"repetition_penalty", "1.1"},
    {"bos_token_id", "1"},
    {"max_length", "10"},
};
constexpr JsonMember kTokenizerConfig[] = {
    {"add_bos_token", "true"},
    {"add_eos_token", "true"},
    {"add_prefix_space", "false"},
    {"bos_token", R"("<bos>")"},
    {"eos_token", R"({"content":"<eos>","lstrip":false})"},
    {"unk_token", "null"},
    {"chat_template", R"("{{ messages[0].content }}")"},
    {"chat_template", R"([{"name":"default","template":"{{ bos_token }}"}])"},
    {"chat_template", R"({"default":"{{ bos_token }}"})"},
    {"added_tokens_decoder", R"({"300":{"content":"<|x|>","special":true}})"},
    {"additional_special_tokens", R"(["<|x|>"])"},
    {"extra_special_tokens", R"({"x":"<|x|>"})"},
    {"tokenizer_class", R"("LlamaTokenizer")"},
    {"legacy", "false"},
    {"model_max_length", "1000000000000000019884624838656"},
};
constexpr JsonMember kSpecialTokens[] = {
    {"bos_token", R"("<bos>")"},
    {"eos_token", R"({"content":"<eos>"})"},
    {"additional_special_tokens", R"(["<|x|>",{"content":"<|y|>"}])"},
};
constexpr JsonMember kAddedTokens[] = {{"<|x|>", "300"}, {"<|y|>", "301"}, {"<|z|>", "5000"}};
constexpr JsonMember kIndex[] = {{"metadata", R"({"total_size":1})"}, {"weight_map", "{}"}};
constexpr JsonMember kChatTemplate[] = {{"chat_template", R"("{{ messages[0].content }}")"}};

// What may lie in the directory: how it begins when it is added, and members it may have.
struct Companion {
  std::string_view name, text;
  std::span<const JsonMember> members;
};
constexpr Companion kCompanions[] = {
    {"config.json", "{}", kConfig},
    {"generation_config.json", R"({"do_sample":true,"temperature":0.7,"top_k":50})", kGeneration},
    {"tokenizer_config.json", R"({"bos_token":"<bos>","eos_token":"<eos>"})", kTokenizerConfig},
    {"special_tokens_map.json", R"({"bos_token":"<bos>","eos_token":"<eos>"})", kSpecialTokens},
    {"added_tokens.json", R"({"<|x|>":300})", kAddedTokens},
    {"model.safetensors.index.json", R"({"metadata":{},"weight_map":{}})", kIndex},
    {"chat_template.json", R"({"chat_template":"{{ messages[0].content }}"})", kChatTemplate},
    {"chat_template.jinja", "{{ messages[0].content }}", {}},
    {"params.json", R"({"dim":32,"n_layers":2,"n_heads":2,"vocab_size":544})", {}},
    {"tokenizer.model", "", {}},
};

const Companion* companion(std::string_view name) {
  for (const Companion& one : kCompanions) {
    if (name == "m/" + std::string(one.name)) return &one;
  }
  return nullptr;
}

class ConfigKind : public Kind {
 public:
  explicit ConfigKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "config"; }

  Files seed(Random& random) const override {
    const Files* forms[] = {&models_.hugging_face, &models_.hugging_face, &models_.sharded,
                            &models_.qwen3};
    Files files;
    for (const auto& [name, bytes] : *random.pick(forms)) files["m/" + name] = bytes;
    switch (random.below(4)) {
      case 0:
        files["m/tokenizer.json"] = models_.byte_level;
        break;
      case 1:
        files["m/tokenizer.json"] = models_.byte_fallback;
        break;
      case 2:
        files["m/tokenizer.model"] = models_.sentencepiece;
        break;
      default:
        break;
    }
    return files;
  }

  void mutate(Files& files, Random& random) const override {
    const Companion& drawn = random.pick(kCompanions);
    const std::string path = "m/" + std::string(drawn.name);
    const auto [file, fresh] = files.try_emplace(path, drawn.text);
    if (fresh && random.one_in(3)) return;
    // config.json is the one that matters most.
    std::string& text = random.one_in(3) ? files["m/config.json"] : file->second;
    const Companion* what = &text == &file->second ? &drawn : companion("m/config.json");
    switch (random.below(30)) {
      case 0:
        text.clear();
        break;
      case 1:
        files.erase(path);
        break;
      case 2:
        text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345678\n";
        break;
      case 3:
        text = hostile_text(random);
        break;
      case 4:
        text = hostile_json(random);
        break;
      default:
        if (what->name.ends_with(".json")) {
          mutate_json(text, random, what->members);
        } else {
          mutate_bytes(text, random);
        }
    }
  }

  Command command(const Files& files, Random& random) const override {
    const bool has_tokenizer =
        files.contains("m/tokenizer.json") || files.contains("m/tokenizer.model");
    return has_tokenizer && random.one_in(4) ? tokenize_command("m", random)
                                             : export_command("m", random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> config_kind(const Models& models) {
  return std::make_unique<ConfigKind>(models);
}

}  // namespace diptych::fuzz
