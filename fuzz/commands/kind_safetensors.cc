// Headers of safetensors files, one or two shards of them.

#include <cstring>

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"

namespace diptych::fuzz {

namespace {

constexpr JsonMember kMembers[] = {
    {"__metadata__", R"({"format":"pt"})"},
    {"x", R"({"dtype":"BF16","shape":[0],"data_offsets":[0,0]})"},
    {"lm_head.weight", R"({"dtype":"BF16","shape":[544,32],"data_offsets":[0,34816]})"},
    {"model.layers.0.self_attn.q_proj.bias",
     R"({"dtype":"F32","shape":[32],"data_offsets":[0,128]})"},
    {"model.layers.9.self_attn.q_proj.weight",
     R"({"dtype":"F8_E4M3","shape":[32,32],"data_offsets":[0,1024]})"},
};

// The header with its length, which is said anew unless it is what was changed.
void mutate_safetensors(std::string& file, Random& random) {
  uint64_t size = 0;
  if (file.size() < 8 || random.one_in(12)) return mutate_bytes(file, random, 4096);
  std::memcpy(&size, file.data(), 8);
  if (size > file.size() - 8 || random.one_in(20)) return mutate_word(file, random, 8);
  const std::string data = file.substr(8 + size);
  if (random.one_in(20)) {
    file.resize(file.size() - random.below(data.size() + 1));
    return;
  }
  std::string header = file.substr(8, size);
  mutate_json(header, random, kMembers);
  size = header.size();
  file.resize(8);
  std::memcpy(file.data(), &size, 8);
  file += header + data;
}

class SafetensorsKind : public Kind {
 public:
  explicit SafetensorsKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "safetensors"; }

  Files seed(Random& random) const override {
    const Files* forms[] = {&models_.hugging_face, &models_.sharded, &models_.qwen3};
    Files files;
    for (const auto& [name, bytes] : *random.pick(forms)) files["m/" + name] = bytes;
    return files;
  }

  void mutate(Files& files, Random& random) const override {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files) {
      if (name.ends_with(".safetensors")) names.push_back(name);
    }
    mutate_safetensors(files[random.pick(names)], random);
  }

  Command command(const Files& files, Random& random) const override {
    const bool whole = files.contains("m/model.safetensors");
    return export_command(whole && random.one_in(4) ? "m/model.safetensors" : "m", random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> safetensors_kind(const Models& models) {
  return std::make_unique<SafetensorsKind>(models);
}

}  // namespace diptych::fuzz
