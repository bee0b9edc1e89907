#include "tools/synth.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "base/file.h"
#include "base/half.h"
#include "base/in_quotes.h"
#include "base/json.h"
#include "base/output_directory.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/torch_writer.h"
#include "tools/synth_forms.h"

namespace diptych::tools {

namespace {

using llama::TensorKind, llama::TensorRow;

constexpr int64_t kLargest = 1 << 24;  // of any dimension: keeps all products within 64 bits
constexpr int64_t kMostLayers = 4096;

struct NamedShape {
  std::string_view name, members;
};
constexpr NamedShape kNamedShapes[] = {
    {"260k", "dim=64,layers=5,heads=8,kv_heads=4,hidden=172,vocab=512"},
    {"110m", "dim=768,layers=12,heads=12,hidden=2048,vocab=32000"},
    {"1b",
     "dim=2048,layers=16,heads=32,kv_heads=8,hidden=8192,vocab=128256,rope_theta=500000,"
     "rope_scale_factor=32"},
    {"3b",
     "dim=3072,layers=28,heads=24,kv_heads=8,hidden=8192,vocab=128256,rope_theta=500000,"
     "rope_scale_factor=32"},
    {"8b",
     "dim=4096,layers=32,heads=32,kv_heads=8,hidden=14336,vocab=128256,rope_theta=500000,"
     "rope_scale_factor=8,tied=0"},
};

// A member of SynthShape that a list can set; exactly one pointer is set.
struct Member {
  std::string_view name;
  int64_t SynthShape::*integer = nullptr;
  int64_t largest = kLargest;
  bool SynthShape::*flag = nullptr;
  double SynthShape::*number = nullptr;
};
constexpr Member integer(std::string_view name, int64_t SynthShape::*member,
                         int64_t largest = kLargest) {
  return {name, member, largest, nullptr, nullptr};
}
constexpr Member flag(std::string_view name, bool SynthShape::*member) {
  return {name, nullptr, 0, member, nullptr};
}
constexpr Member number(std::string_view name, double SynthShape::*member) {
  return {name, nullptr, 0, nullptr, member};
}
constexpr std::array kMembers = {
    integer("dim", &SynthShape::dim),
    integer("layers", &SynthShape::layers, kMostLayers),
    integer("heads", &SynthShape::heads),
    integer("kv_heads", &SynthShape::kv_heads),
    integer("hidden", &SynthShape::hidden),
    integer("vocab", &SynthShape::vocab),
    integer("head_dim", &SynthShape::head_dim),
    integer("rope_scale_factor", &SynthShape::rope_scale_factor),
    integer("window", &SynthShape::window),
    integer("full_layers", &SynthShape::full_layers, kMostLayers),
    flag("qk_norm", &SynthShape::qk_norm),
    flag("qk_norm_before_rope", &SynthShape::qk_norm_before_rope),
    flag("qkv_bias", &SynthShape::qkv_bias),
    flag("tied", &SynthShape::tied),
    number("norm_eps", &SynthShape::norm_eps),
    number("rope_theta", &SynthShape::rope_theta),
};

template <class T>
bool parse_number(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

Status set_member(const Member& member, std::string_view text, SynthShape* shape) {
  if (member.integer) {
    int64_t value = 0;
    if (!parse_number(text, &value) || value < 1 || value > member.largest) {
      return invalid_argument("{}: expected a number from 1 to {}, found \"{}\"", member.name,
                              member.largest, text);
    }
    shape->*member.integer = value;
  } else if (member.flag) {
    const bool on = text == "1" || text == "true";
    if (!on && text != "0" && text != "false") {
      return invalid_argument("{}: expected 0 or 1, found \"{}\"", member.name, text);
    }
    shape->*member.flag = on;
  } else {
    double value = 0;
    if (!parse_number(text, &value) || !(value > 0) || !std::isfinite(value)) {
      return invalid_argument("{}: expected a positive number, found \"{}\"", member.name, text);
    }
    shape->*member.number = value;
  }
  return {};
}

std::string known_members() {
  std::string text;
  for (const Member& member : kMembers)
    text += (text.empty() ? "" : ", ") + std::string(member.name);
  return text;
}

// Sets one "name=value".
Status set_item(std::string_view item, SynthShape* shape) {
  const size_t equals = item.find('=');
  if (equals == std::string_view::npos) {
    return invalid_argument(
        "expected 260k, 110m, 1b, 3b, 8b or a list like dim=64,layers=2,heads=4; found \"{}\"",
        item);
  }
  for (const Member& member : kMembers) {
    if (member.name == item.substr(0, equals)) {
      return set_member(member, item.substr(equals + 1), shape);
    }
  }
  return invalid_argument("unknown member \"{}\", expected one of {}", item.substr(0, equals),
                          known_members());
}

// Fills in defaults and checks what must hold between the members.
Status complete(SynthShape* shape) {
  if (shape->dim == 0 || shape->layers == 0 || shape->heads == 0) {
    return invalid_argument("dim, layers and heads are needed, as in dim=64,layers=2,heads=4");
  }
  if (shape->kv_heads == 0) shape->kv_heads = shape->heads;
  if (shape->heads % shape->kv_heads != 0) {
    return invalid_argument("heads={} is not a multiple of kv_heads={}", shape->heads,
                            shape->kv_heads);
  }
  if (shape->head_dim == 0) {
    if (shape->dim % shape->heads != 0) {
      return invalid_argument("dim={} is not a multiple of heads={}; give head_dim", shape->dim,
                              shape->heads);
    }
    shape->head_dim = shape->dim / shape->heads;
  }
  if (shape->head_dim % 2 != 0) {
    return invalid_argument("head_dim={} is odd, but RoPE turns pairs; {} would do",
                            shape->head_dim, shape->head_dim + 1);
  }
  if (shape->heads * shape->head_dim > kLargest) {
    return invalid_argument("heads={} of head_dim={} exceed {}", shape->heads, shape->head_dim,
                            kLargest);
  }
  if (shape->hidden == 0) {
    shape->hidden = static_cast<int64_t>(align_up(static_cast<uint64_t>(8 * shape->dim / 3), 256));
  }
  return {};
}

// The finaliser of splitmix64: all 64 bits of the result depend on all of the argument.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Roughly normal values: the sum of four uniform 16-bit numbers, cut by nature at 3.46 deviations.
class RandomWeight : public Weight {
 public:
  RandomWeight(TensorType type, uint64_t seed, double mean, double deviation, ThreadPool& pool)
      : Weight(std::move(type)),
        seed_(seed),
        mean_(static_cast<float>(mean)),
        // Four uniform numbers from 0 to 65535 have a variance of 4 (2^32 - 1) / 12.
        scale_(static_cast<float>(deviation / std::sqrt((0x1p32 - 1) / 3))),
        pool_(pool) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const uint64_t begin = static_cast<uint64_t>(first) * row_elements();
    const auto elements = count * static_cast<int64_t>(row_elements());
    constexpr int64_t kGrain = 1 << 16;
    pool_.parallel_for(elements, kGrain, [&](int64_t from, int64_t to) {
      const auto start = static_cast<uint64_t>(from);
      const uint64_t n = static_cast<uint64_t>(to) - start;
      std::byte* at = out.data() + start * static_cast<uint64_t>(bit_width(dtype())) / 8;
      if (dtype() == DType::BF16) {
        fill<uint16_t>(begin + start, n, at, [](float value) { return float_to_bfloat16(value); });
      } else if (dtype() == DType::F16) {
        fill<uint16_t>(begin + start, n, at, [](float value) { return float_to_half(value); });
      } else {
        fill<float>(begin + start, n, at, [](float value) { return value; });
      }
    });
    return {};
  }
  Status identify(Hasher& hasher, DigestCache&) const override {
    hasher.add(fmt::format("synth {} {} {}", seed_, mean_, scale_));
    return {};
  }

 private:
  template <class T, class Round>
  void fill(uint64_t first, uint64_t count, std::byte* out, Round round) const {
    const uint64_t seed = seed_;
    const float mean = mean_, scale = scale_;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t bits = mix(seed + (first + i + 1) * 0x9E3779B97F4A7C15ull);
      const auto sum = static_cast<int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                            (bits >> 32 & 0xFFFF) + (bits >> 48));
      // 2 * 65535 is the mean of the sum. In double precision the product is exact, so that a
      // machine with a fused multiply-add rounds the same.
      const double value = static_cast<double>(sum - 2 * 65535) * scale + mean;
      store<T>(out + i * sizeof(T), round(static_cast<float>(value)));
    }
  }

  uint64_t seed_;
  float mean_, scale_;
  ThreadPool& pool_;
};

// Adds tensors one after another, each with a seed of its own.
class TensorMaker {
 public:
  TensorMaker(DType dtype, uint64_t seed, ThreadPool& pool)
      : dtype_(dtype), seed_(mix(seed + 1)), pool_(pool) {}

  void draw(std::string name, TensorKind kind, Shape shape) {
    const bool norm = kind == TensorKind::Norm || kind == TensorKind::HeadNorm;
    const double deviation = shape.size() == 2 ? 1 / std::sqrt(static_cast<double>(shape[1])) : 0.1;
    const uint64_t seed = mix(seed_ + tensors.size());
    tensors.emplace_back(std::move(name),
                         std::make_shared<RandomWeight>(TensorType{dtype_, std::move(shape)}, seed,
                                                        norm ? 1 : 0, deviation, pool_));
  }
  void alias(std::string name, WeightRef of) {
    tensors.emplace_back(std::move(name), std::move(of));
  }

  std::vector<checkpoint::NamedWeight> tensors;

 private:
  DType dtype_;
  uint64_t seed_;
  ThreadPool& pool_;
};

// A layer's tensors in the order in which they are drawn: a tensor's seed follows from its place,
// so what is there stays where it is. Those of the attention, of the feed-forward layer, and then
// the norms before them; each as linears, biases, norms of heads.
std::vector<TensorRow> rows_as_drawn() {
  std::vector<TensorRow> rows(llama::layer_rows().begin(), llama::layer_rows().end());
  std::ranges::stable_sort(rows, {}, [](const TensorRow& row) {
    return std::tuple(row.kind == TensorKind::Norm, row.block, row.kind);
  });
  return rows;
}

}  // namespace

Result<SynthShape> synth_shape(std::string_view text) {
  for (const NamedShape& named : kNamedShapes) {
    if (named.name == text) text = named.members;
  }
  SynthShape shape;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    TRY(within("shape", set_item(rest.substr(0, comma), &shape)));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  TRY(within("shape", complete(&shape)));
  return shape;
}

Result<std::vector<checkpoint::NamedWeight>> synth_tensors(const SynthShape& shape, DType dtype,
                                                           uint64_t seed, ThreadPool& pool) {
  if (dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16) {
    return invalid_argument("expected an element type fp32, fp16 or bf16, found {}", name(dtype));
  }
  const llama::Params params = params_of(shape);
  const std::vector<TensorRow> of_layer = rows_as_drawn();
  TensorMaker make(dtype, seed, pool);
  for (const auto& [row, layer] : llama::all_tensors(static_cast<size_t>(shape.layers), of_layer)) {
    if (!row->is_in(params)) continue;
    if (row->presence == llama::Presence::Untied && shape.tied) {
      make.alias(meta_name(*row, layer), make.tensors.front().second);  // the embedding
    } else {
      make.draw(meta_name(*row, layer), row->kind, row->shape(params));
    }
  }
  return std::move(make.tensors);
}

Json synth_params(const SynthShape& shape) {
  Json params = {{"dim", shape.dim},           {"n_layers", shape.layers},
                 {"n_heads", shape.heads},     {"n_kv_heads", shape.kv_heads},
                 {"vocab_size", shape.vocab},  {"hidden_dim", shape.hidden},
                 {"norm_eps", shape.norm_eps}, {"rope_theta", shape.rope_theta}};
  if (shape.head_dim * shape.heads != shape.dim) params["head_dim"] = shape.head_dim;
  if (shape.rope_scale_factor > 0) {
    params["use_scaled_rope"] = true;
    params["rope_scale_factor"] = shape.rope_scale_factor;
  }
  if (shape.qk_norm) {
    params["use_qk_norm"] = true;
    params["qk_norm_before_rope"] = shape.qk_norm_before_rope;
  }
  if (shape.qkv_bias) params["attention_qkv_bias"] = true;
  if (shape.window > 0) {
    params["sliding_window"] = shape.window;
    Json types = Json::array();
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      types.push_back(layer < shape.full_layers ? "full_attention" : "sliding_attention");
    }
    params["layer_types"] = std::move(types);
  }
  return params;
}

namespace {

// Refuses a directory that holds a model, whoever made it.
Status check_no_model(const std::string& directory) {
  static constexpr std::string_view kNames[] = {"config.json", "params.json"};
  static constexpr std::string_view kEndings[] = {
      ".safetensors", ".safetensors.index.json", ".pth", ".pt", ".bin", ".gguf"};
  namespace fs = std::filesystem;
  std::string found;  // the first by name
  std::error_code code;
  fs::directory_iterator entry(directory, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    std::string name = entry->path().filename().string();
    const auto ends_name = [&](std::string_view ending) { return name.ends_with(ending); };
    if ((std::ranges::find(kNames, name) != std::end(kNames) ||
         std::ranges::any_of(kEndings, ends_name)) &&
        (found.empty() || name < found)) {
      found = std::move(name);
    }
  }
  if (!found.empty()) {
    return within<void>(directory,
                        hinted(invalid_argument("holds {} of another model", in_quotes(found)),
                               Advice::ReplaceModel));
  }
  return {};  // what cannot be listed cannot be written either, which says why
}

// The files of a model: written one after another, but there only when all are.
class ModelFiles {
 public:
  explicit ModelFiles(std::string directory) : directory_(std::move(directory)) {}

  // write(Sink&) fills the file. Gives its path.
  template <class Write>
  Result<std::string> add(std::string_view name, Write write) {
    std::string path = fmt::format("{}/{}", directory_, name);
    files_.push_back(TRY(AtomicFile::create(path)));
    TRY(write(*files_.back()));
    TRY(files_.back()->flush());
    return path;
  }
  Result<std::string> add(std::string_view name, const Json& json) {
    const std::string text = dump_json(json, 2) + "\n";
    return add(name, [&](Sink& sink) { return sink.write(as_bytes(text)); });
  }
  Status commit() {
    for (const auto& file : files_) TRY(file->commit());
    return {};
  }

 private:
  std::string directory_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

// One file, or several of about the same number of tensors and their index. Gives the path of what
// stands for all of them.
Result<std::string> write_safetensors_files(ModelFiles& model,
                                            std::span<const checkpoint::NamedWeight> tensors,
                                            int64_t shards, Progress& progress) {
  const auto add = [&](std::string_view name, std::span<const checkpoint::NamedWeight> some) {
    return model.add(
        name, [&](Sink& sink) { return checkpoint::write_safetensors(sink, some, progress); });
  };
  if (shards == 1) return add("model.safetensors", tensors);
  std::vector<std::pair<std::string, std::string>> files;
  uint64_t total = 0;
  const auto count = static_cast<int64_t>(tensors.size());
  for (int64_t i = 0; i < shards; ++i) {
    const int64_t first = count * i / shards, last = count * (i + 1) / shards;
    const auto shard =
        tensors.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards);
    TRY(add(name, shard));
    for (const auto& [tensor, weight] : shard) {
      files.emplace_back(tensor, name);
      total += TRY(packed_size(weight->type()));
    }
  }
  return model.add("model.safetensors.index.json", checkpoint::shard_index(files, total));
}

Result<SynthShape> shape_of(const SynthOptions& options) {
  const llama::Family& family = *TRY(llama::family_from_name(options.family));
  SynthShape shape = TRY(synth_shape(options.shape));
  TRY(within("shape", fit_family(family, options.form, &shape)));
  return shape;
}

}  // namespace

Result<Json> synth_description(const SynthOptions& options) {
  const SynthShape shape = TRY(shape_of(options));
  switch (options.form) {
    case SynthForm::Meta:
      return synth_params(shape);
    case SynthForm::HuggingFace:
      return hugging_face_config(*shape.family, shape, options.dtype);
    case SynthForm::Gguf:
      break;
  }
  return invalid_argument("a GGUF has no file of parameters beside it");
}

Result<SynthReport> synth(const SynthOptions& options, ThreadPool& pool, Progress& progress) {
  const SynthShape shape = TRY(shape_of(options));
  const llama::Family& family = *shape.family;
  const auto tensors = TRY(synth_tensors(shape, options.dtype, options.seed, pool));
  SynthReport report;
  for (const auto& [name, weight] : tensors) {
    if (shape.tied && name == "output.weight") continue;
    report.parameters += weight->elements();
    report.bytes += TRY(packed_size(weight->type()));
  }
  const auto formed = tensors_as(options.form, family, shape, tensors);
  if (options.form == SynthForm::HuggingFace &&
      (options.shards < 1 || options.shards > static_cast<int64_t>(formed.size()))) {
    return invalid_argument("shards: expected 1 to {} (tensors), found {}", formed.size(),
                            options.shards);
  }
  if (!options.force) TRY(check_no_model(options.directory));
  auto directory = TRY(OutputDirectory::create(options.directory));
  ModelFiles files(options.directory);
  switch (options.form) {
    case SynthForm::Gguf:
      report.checkpoint = TRY(files.add("model.gguf", [&](Sink& sink) {
        return checkpoint::write_gguf(sink, gguf_metadata(family, shape), formed, progress);
      }));
      break;
    case SynthForm::HuggingFace:
      report.checkpoint = TRY(write_safetensors_files(files, formed, options.shards, progress));
      report.params =
          TRY(files.add("config.json", hugging_face_config(family, shape, options.dtype)));
      break;
    case SynthForm::Meta:
      report.checkpoint = TRY(files.add("model.pth", [&](Sink& sink) {
        return checkpoint::write_torch(sink, formed, progress);
      }));
      report.params = TRY(files.add("params.json", synth_params(shape)));
      break;
  }
  TRY(files.commit());
  directory.keep();
  return report;
}

}  // namespace diptych::tools
