// GGUF files: metadata, the list of tensors, counts.

#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "checkpoint/gguf_format.h"
#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"

namespace diptych::fuzz {

namespace {

using checkpoint::GgufKind;

// A file taken apart as far as its counts allow. Values keep their bytes.
struct Entry {
  std::string key;
  uint32_t kind = 0;
  std::string value;
};
struct Tensor {
  std::string name;
  std::vector<uint64_t> sizes;
  uint32_t type = 0;
  uint64_t offset = 0;
};
struct Gguf {
  uint32_t version = checkpoint::kGgufVersion;
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  std::string data;
  int64_t tensors_more = 0, entries_more = 0;  // than there are, in the counts
};

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

class Parser {
 public:
  explicit Parser(std::string_view file) : file_(file) {}

  std::optional<Gguf> run() {
    Gguf gguf;
    uint64_t tensors = 0, entries = 0;
    if (file_.size() < 24) return std::nullopt;
    at_ = 4;
    gguf.version = take<uint32_t>();
    tensors = take<uint64_t>();
    entries = take<uint64_t>();
    for (uint64_t i = 0; i < entries && good_; ++i) {
      Entry& entry = gguf.entries.emplace_back();
      entry.key = text();
      entry.kind = take<uint32_t>();
      const size_t begin = at_;
      skip_value(entry.kind, 0);
      if (good_) entry.value = file_.substr(begin, at_ - begin);
    }
    for (uint64_t i = 0; i < tensors && good_; ++i) {
      Tensor& tensor = gguf.tensors.emplace_back();
      tensor.name = text();
      const auto axes = take<uint32_t>();
      for (uint32_t k = 0; k < axes && good_; ++k) tensor.sizes.push_back(take<uint64_t>());
      tensor.type = take<uint32_t>();
      tensor.offset = take<uint64_t>();
    }
    if (!good_) return std::nullopt;
    const size_t begin = align_up(at_, checkpoint::kGgufAlignment);
    if (begin < file_.size()) gguf.data = file_.substr(begin);
    return gguf;
  }

 private:
  template <class T>
  T take() {
    T value{};
    if (!skip(sizeof value)) return value;
    std::memcpy(&value, &file_[at_ - sizeof value], sizeof value);
    return value;
  }
  bool skip(uint64_t size) {
    good_ = good_ && range_fits(at_, size, file_.size());
    if (good_) at_ += size;
    return good_;
  }
  std::string text() {
    const auto size = take<uint64_t>();
    return skip(size) ? std::string(file_.substr(at_ - size, size)) : std::string();
  }
  void skip_value(uint32_t kind, size_t depth) {
    if (kind == static_cast<uint32_t>(GgufKind::Text)) {
      skip(take<uint64_t>());
    } else if (kind == static_cast<uint32_t>(GgufKind::Array)) {
      const auto of = take<uint32_t>();
      const auto count = take<uint64_t>();
      good_ = good_ && depth < 8;
      for (uint64_t i = 0; i < count && good_; ++i) skip_value(of, depth + 1);
    } else {
      const uint64_t size = checkpoint::fixed_size(static_cast<GgufKind>(kind));
      good_ = good_ && size != 0;
      skip(size);
    }
  }

  std::string_view file_;
  size_t at_ = 0;
  bool good_ = true;
};

std::string join(const Gguf& gguf) {
  std::string out(checkpoint::kGgufMagic);
  put(out, gguf.version);
  put(out, gguf.tensors.size() + static_cast<uint64_t>(gguf.tensors_more));
  put(out, gguf.entries.size() + static_cast<uint64_t>(gguf.entries_more));
  for (const Entry& entry : gguf.entries) {
    put_text(out, entry.key);
    put(out, entry.kind);
    out += entry.value;
  }
  for (const Tensor& tensor : gguf.tensors) {
    put_text(out, tensor.name);
    put(out, static_cast<uint32_t>(tensor.sizes.size()));
    for (const uint64_t size : tensor.sizes) put(out, size);
    put(out, tensor.type);
    put(out, tensor.offset);
  }
  out.resize(align_up(out.size(), checkpoint::kGgufAlignment));
  return out + gguf.data;
}

template <class T>
Entry entry_of(std::string key, GgufKind kind, T value) {
  Entry entry{std::move(key), static_cast<uint32_t>(kind), {}};
  put(entry.value, value);
  return entry;
}
Entry entry_of(std::string key, std::string_view text) {
  Entry entry{std::move(key), static_cast<uint32_t>(GgufKind::Text), {}};
  put_text(entry.value, text);
  return entry;
}
Entry list_of(std::string key, const std::vector<std::string>& texts) {
  Entry entry{std::move(key), static_cast<uint32_t>(GgufKind::Array), {}};
  put(entry.value, GgufKind::Text);
  put(entry.value, static_cast<uint64_t>(texts.size()));
  for (const std::string& text : texts) put_text(entry.value, text);
  return entry;
}
template <class T>
Entry list_of(std::string key, GgufKind kind, const std::vector<T>& values) {
  Entry entry{std::move(key), static_cast<uint32_t>(GgufKind::Array), {}};
  put(entry.value, kind);
  put(entry.value, static_cast<uint64_t>(values.size()));
  for (const T& value : values) put(entry.value, value);
  return entry;
}

// A vocabulary of SentencePiece's kind: three control tokens, 256 bytes, some pieces.
std::vector<Entry> vocabulary() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
  }
  for (const char* piece : {"▁", "a", "b", "ab", "▁a", "<|x|>"}) {
    tokens.emplace_back(piece);
    types.push_back(*piece == '<' ? 4 : 1);
  }
  std::vector<float> scores;
  for (size_t i = 0; i < tokens.size(); ++i) scores.push_back(-static_cast<float>(i));
  return {entry_of("tokenizer.ggml.model", "llama"),
          list_of("tokenizer.ggml.tokens", tokens),
          list_of("tokenizer.ggml.scores", GgufKind::Float32, scores),
          list_of("tokenizer.ggml.token_type", GgufKind::Int32, types),
          entry_of("tokenizer.ggml.bos_token_id", GgufKind::UInt32, uint32_t{1}),
          entry_of("tokenizer.ggml.eos_token_id", GgufKind::UInt32, uint32_t{2}),
          entry_of("tokenizer.chat_template", "{{ messages[0].content }}")};
}

// Entries worth adding, good ones and such that contradict others.
std::vector<Entry> interesting() {
  return {entry_of("general.alignment", GgufKind::UInt32, uint32_t{3}),
          entry_of("general.alignment", GgufKind::UInt32, uint32_t{1u << 30}),
          entry_of("general.name", "some/../name\x1b[31m"),
          entry_of("general.file_type", GgufKind::UInt32, uint32_t{99}),
          entry_of("split.count", GgufKind::UInt16, uint16_t{2}),
          entry_of("llama.rope.scaling.type", "yarn"),
          entry_of("llama.rope.scaling.type", "linear"),
          entry_of("llama.rope.scaling.factor", GgufKind::Float32, 4.0f),
          entry_of("llama.rope.scale_linear", GgufKind::Float32, 2.0f),
          entry_of("llama.attention.sliding_window", GgufKind::UInt32, uint32_t{4}),
          entry_of("llama.expert_count", GgufKind::UInt32, uint32_t{8}),
          list_of<int32_t>("llama.attention.head_count_kv", GgufKind::Int32, {1, 1}),
          list_of<int32_t>("llama.attention.head_count_kv", GgufKind::Int32, {1, 2}),
          entry_of("tokenizer.ggml.model", "gpt2"),
          entry_of("tokenizer.ggml.pre", "qwen2"),
          entry_of("tokenizer.ggml.pre", "no\nsuch"),
          list_of("tokenizer.ggml.merges", {"a b", "\x1b", "a  b", ""}),
          entry_of("tokenizer.ggml.add_bos_token", GgufKind::Bool, uint8_t{2}),
          entry_of("tokenizer.ggml.add_space_prefix", GgufKind::Bool, uint8_t{0}),
          entry_of("tokenizer.ggml.bos_token_id", GgufKind::UInt32, UINT32_MAX),
          entry_of("tokenizer.ggml.eot_token_id", GgufKind::UInt64, UINT64_MAX),
          entry_of("tokenizer.chat_template", "{% for x in")};
}

void mutate_text(std::string& text, Random& random) {
  if (random.one_in(2)) {
    text = hostile_text(random);
  } else {
    mutate_bytes(text, random);
  }
}

void mutate_value(Entry& entry, Random& random) {
  if (entry.kind == static_cast<uint32_t>(GgufKind::Text) && !random.one_in(6)) {
    std::string text = entry.value.substr(std::min<size_t>(8, entry.value.size()));
    mutate_text(text, random);
    entry = entry_of(entry.key, text);
  } else if (random.one_in(4)) {
    entry.kind = static_cast<uint32_t>(random.below(15));  // the bytes stay
  } else if (random.one_in(4)) {
    entry = entry_of(entry.key, GgufKind::Int64, hostile_integer(random));
  } else if (entry.kind == static_cast<uint32_t>(GgufKind::Array) && random.one_in(2)) {
    mutate_word(entry.value, random, 12);  // kind and count of its elements
  } else {
    mutate_word(entry.value, random);
  }
}

void mutate_entries(Gguf& gguf, Random& random) {
  if (gguf.entries.empty() || random.one_in(3)) {
    const Entry added = random.pick(interesting());
    if (random.one_in(2)) {
      std::erase_if(gguf.entries, [&](const Entry& entry) { return entry.key == added.key; });
    }
    gguf.entries.push_back(added);
    if (random.one_in(2)) mutate_value(gguf.entries.back(), random);
    return;
  }
  const size_t at = random.below(gguf.entries.size());
  Entry& entry = gguf.entries[at];
  const auto place = gguf.entries.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.below(8)) {
    case 0:
      gguf.entries.erase(place);
      break;
    case 1: {
      const Entry copy = entry;
      gguf.entries.insert(place, copy);
      break;
    }
    case 2:
      std::swap(entry, gguf.entries[random.below(gguf.entries.size())]);
      break;
    case 3:
      mutate_text(entry.key, random);
      break;
    default:
      mutate_value(entry, random);
  }
}

void mutate_tensors(Gguf& gguf, Random& random) {
  if (gguf.tensors.empty()) return;
  const size_t at = random.below(gguf.tensors.size());
  Tensor& tensor = gguf.tensors[at];
  const auto place = gguf.tensors.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.below(9)) {
    case 0:
      gguf.tensors.erase(place);
      break;
    case 1: {
      const Tensor copy = tensor;
      gguf.tensors.insert(place, random.one_in(30) ? 20000 : 1, copy);
      break;
    }
    case 2:
      mutate_text(tensor.name, random);
      break;
    case 3:
      tensor.type = static_cast<uint32_t>(random.below(42));
      break;
    case 4:
      tensor.offset = random.one_in(2) ? hostile_integer(random) : tensor.offset ^ 32;
      break;
    case 5:
      tensor.sizes.assign(random.below(200), 1);
      break;
    case 6:
      tensor.sizes.push_back(hostile_integer(random));
      break;
    case 7:
      std::swap(tensor, gguf.tensors[random.below(gguf.tensors.size())]);
      break;
    default:
      if (!tensor.sizes.empty()) {
        tensor.sizes[random.below(tensor.sizes.size())] = hostile_integer(random);
      }
  }
}

class GgufFileKind : public Kind {
 public:
  explicit GgufFileKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "gguf"; }

  Files seed(Random& random) const override {
    if (random.one_in(4)) return {{"model.gguf", models_.gguf}};
    std::optional<Gguf> gguf = Parser(models_.gguf).run();
    std::erase_if(gguf->entries,
                  [](const Entry& entry) { return entry.key.starts_with("tokenizer."); });
    for (Entry& entry : vocabulary()) gguf->entries.push_back(std::move(entry));
    return {{"model.gguf", join(*gguf)}};
  }

  void mutate(Files& files, Random& random) const override {
    std::string& file = files["model.gguf"];
    std::optional<Gguf> gguf = random.one_in(12) ? std::nullopt : Parser(file).run();
    if (!gguf) return mutate_bytes(file, random, 8192);
    switch (random.below(12)) {
      case 0:
        gguf->version = static_cast<uint32_t>(hostile_integer(random));
        break;
      case 1:
        gguf->tensors_more = static_cast<int64_t>(hostile_integer(random));
        break;
      case 2:
        gguf->entries_more = static_cast<int64_t>(hostile_integer(random));
        break;
      case 3:
        gguf->data.resize(random.below(gguf->data.size() + 1));
        break;
      case 4:
      case 5:
      case 6:
        mutate_tensors(*gguf, random);
        break;
      default:
        mutate_entries(*gguf, random);
    }
    file = join(*gguf);
  }

  Command command(const Files& files, Random& random) const override {
    const bool has_tokenizer =
        files.at("model.gguf").find("tokenizer.ggml.tokens") != std::string::npos;
    return has_tokenizer && random.one_in(4) ? tokenize_command("model.gguf", random)
                                             : export_command("model.gguf", random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> gguf_kind(const Models& models) {
  return std::make_unique<GgufFileKind>(models);
}

}  // namespace diptych::fuzz
