#include "checkpoint/gguf_reader.h"

#include <algorithm>
#include <set>

#include "base/in_quotes.h"
#include "base/json.h"
#include "checkpoint/gguf_format.h"
#include "checkpoint/gguf_quants.h"

namespace diptych::checkpoint {

namespace {

constexpr uint64_t kMaxNameBytes = 65535;
constexpr uint32_t kMaxAxes = 4;
constexpr uint64_t kLongestArray = 1024;  // that goes into the configuration
constexpr int kMaxArrayDepth = 4;

// The fewest bytes that these take, to tell hostile counts before anything is allocated.
constexpr uint64_t kLeastEntry = 8 + 4 + 1;
constexpr uint64_t kLeastTensor = 8 + 4 + 4 + 8;

Json fixed_value(GgufKind kind, const std::byte* at) {
  switch (kind) {
    case GgufKind::UInt8:
      return load<uint8_t>(at);
    case GgufKind::Int8:
      return load<int8_t>(at);
    case GgufKind::Bool:
      return *at != std::byte{0};
    case GgufKind::UInt16:
      return load<uint16_t>(at);
    case GgufKind::Int16:
      return load<int16_t>(at);
    case GgufKind::UInt32:
      return load<uint32_t>(at);
    case GgufKind::Int32:
      return load<int32_t>(at);
    case GgufKind::Float32:
      return load<float>(at);
    case GgufKind::UInt64:
      return load<uint64_t>(at);
    case GgufKind::Int64:
      return load<int64_t>(at);
    default:
      return load<double>(at);
  }
}

// An array whose elements have not been looked at, except for their bounds.
struct RawArray {
  GgufKind kind = GgufKind::UInt8;
  uint64_t count = 0;
  Bytes elements;
};

Result<std::string_view> read_text(ByteReader& reader, std::string_view what) {
  const auto length = TRY(reader.read<uint64_t>(what));
  return as_text(TRY(reader.take(length, what)));
}

Result<GgufKind> read_kind(ByteReader& reader) {
  const uint64_t offset = reader.offset();
  const auto kind = TRY(reader.read<uint32_t>("kind of a value"));
  if (kind > static_cast<uint32_t>(GgufKind::Float64)) {
    return invalid_data("offset {}: kind of a value {}, expected 0 to 12", offset, kind);
  }
  return static_cast<GgufKind>(kind);
}

// Steps over the elements of an array.
Status skip_elements(ByteReader& reader, GgufKind kind, uint64_t count, int depth) {
  if (const uint64_t size = fixed_size(kind); size != 0) {
    uint64_t bytes = 0;
    if (!checked_mul(count, size, &bytes)) return invalid_data("an array of {} elements", count);
    return reader.skip(bytes, "elements of an array");
  }
  if (depth >= kMaxArrayDepth) {
    return invalid_data("offset {}: arrays nested deeper than {}", reader.offset(), kMaxArrayDepth);
  }
  // Each step consumes bytes, so a hostile count ends with the file.
  for (uint64_t i = 0; i < count; ++i) {
    if (kind == GgufKind::Text) {
      TRY(read_text(reader, "element of an array"));
    } else {
      const GgufKind inner = TRY(read_kind(reader));
      TRY(skip_elements(reader, inner, TRY(reader.read<uint64_t>("length of an array")),
                        depth + 1));
    }
  }
  return {};
}

class GgufReader {
 public:
  GgufReader(Bytes bytes, std::shared_ptr<const void> owner)
      : bytes_(bytes), reader_(bytes), owner_(std::move(owner)) {}

  Result<Checkpoint> read() {
    TRY(reader_.skip(kGgufMagic.size(), "magic"));
    const auto version = TRY(reader_.read<uint32_t>("version"));
    if (version == __builtin_bswap32(2) || version == __builtin_bswap32(3)) {
      return unsupported("a big-endian GGUF file; convert it to little-endian");
    }
    if (version != 2 && version != kGgufVersion) {
      return unsupported("GGUF version {}, expected 2 or 3", version);
    }
    const auto tensors = TRY(reader_.read<uint64_t>("number of tensors"));
    const auto entries = TRY(reader_.read<uint64_t>("number of metadata entries"));
    TRY(check_count(entries, kLeastEntry, "metadata entries"));
    TRY(read_metadata(entries));
    TRY(check_count(tensors, kLeastTensor, "tensors"));
    TRY(read_tensor_list(tensors));
    TRY(make_weights());
    if (!tokenizer_.tokens.empty()) {
      TRY(check_tokenizer());
      checkpoint_.tokenizer = std::make_shared<GgufTokenizer>(std::move(tokenizer_));
    }
    checkpoint_.config = shared_json(std::move(metadata_));
    return std::move(checkpoint_);
  }

 private:
  Status check_count(uint64_t count, uint64_t least, std::string_view what) const {
    if (count <= reader_.remaining() / least) return {};
    return invalid_data("{} {} do not fit into the {} bytes that follow", count, what,
                        reader_.remaining());
  }

  // --- Metadata ---

  Status read_metadata(uint64_t count) {
    std::set<std::string, std::less<>> keys;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key(TRY(read_text(reader_, "key of a metadata entry")));
      if (key.empty() || key.size() > kMaxNameBytes) {
        return invalid_data("a key of {} bytes, expected 1 to {}", key.size(), kMaxNameBytes);
      }
      if (!keys.insert(key).second) return invalid_data("key {} occurs twice", in_quotes(key));
      TRY(within("key " + in_quotes(key), read_entry(key)));
    }
    const auto count_of_files = metadata_.find("split.count");
    if (count_of_files != metadata_.end() && count_of_files->is_number_integer() &&
        count_of_files->get<int64_t>() > 1) {
      return hinted(unsupported("one of {} parts of a split model", count_of_files->get<int64_t>()),
                    Advice::MergeParts);
    }
    return {};
  }

  Status read_entry(const std::string& key) {
    const GgufKind kind = TRY(read_kind(reader_));
    if (kind == GgufKind::Array) {
      RawArray array;
      array.kind = TRY(read_kind(reader_));
      array.count = TRY(reader_.read<uint64_t>("length of an array"));
      const uint64_t start = reader_.offset();
      TRY(skip_elements(reader_, array.kind, array.count, 1));
      array.elements = bytes_.subspan(start, reader_.offset() - start);
      return key.starts_with("tokenizer.") ? tokenizer_array(key, array) : add_array(key, array);
    }
    Json value;
    if (kind == GgufKind::Text) {
      value = std::string(TRY(read_text(reader_, "a text")));
    } else {
      value = fixed_value(kind, TRY(reader_.take(fixed_size(kind), "a value")).data());
    }
    if (key.starts_with("tokenizer.")) return tokenizer_value(key, value);
    append(key, std::move(value));
    return {};
  }

  // Keys are known to differ, so no search for an equal one.
  void append(const std::string& key, Json value) {
    auto& members = metadata_.get_ref<Json::object_t&>();
    static_cast<std::vector<Json::object_t::value_type>&>(members).emplace_back(key,
                                                                                std::move(value));
  }

  Status add_array(const std::string& key, const RawArray& array) {
    if (array.kind == GgufKind::Array || array.count > kLongestArray) return {};
    Json list = Json::array();
    ByteReader elements(array.elements);
    for (uint64_t i = 0; i < array.count; ++i) {
      if (array.kind == GgufKind::Text) {
        list.push_back(std::string(TRY(read_text(elements, "a text"))));
      } else {
        const uint64_t size = fixed_size(array.kind);
        list.push_back(fixed_value(array.kind, TRY(elements.take(size, "a value")).data()));
      }
    }
    append(key, std::move(list));
    return {};
  }

  // --- Tokenizer ---

  Status tokenizer_value(std::string_view key, const Json& value) {
    const auto text = [&](std::string& to) -> Status {
      if (!value.is_string()) return invalid_data("expected a text");
      to = value.get<std::string>();
      return {};
    };
    const auto id = [&](std::optional<int64_t>& to) -> Status {
      if (!value.is_number_integer()) return invalid_data("expected an integer");
      to = value.get<int64_t>();
      return {};
    };
    const auto flag = [&](std::optional<bool>& to) -> Status {
      if (!value.is_boolean()) return invalid_data("expected a boolean");
      to = value.get<bool>();
      return {};
    };
    GgufTokenizer& t = tokenizer_;
    if (key == "tokenizer.ggml.model") return text(t.model);
    if (key == "tokenizer.ggml.pre") return text(t.pre);
    if (key == "tokenizer.chat_template") return text(t.chat_template);
    if (key == "tokenizer.ggml.bos_token_id") return id(t.bos_id);
    if (key == "tokenizer.ggml.eos_token_id") return id(t.eos_id);
    if (key == "tokenizer.ggml.eot_token_id") return id(t.eot_id);
    if (key == "tokenizer.ggml.unknown_token_id") return id(t.unknown_id);
    if (key == "tokenizer.ggml.padding_token_id") return id(t.padding_id);
    if (key == "tokenizer.ggml.add_bos_token") return flag(t.add_bos);
    if (key == "tokenizer.ggml.add_eos_token") return flag(t.add_eos);
    if (key == "tokenizer.ggml.add_space_prefix") return flag(t.add_space_prefix);
    return {};
  }

  Status tokenizer_array(std::string_view key, const RawArray& array) {
    const auto texts = [&](std::vector<std::string>& to) -> Status {
      if (array.kind != GgufKind::Text) return invalid_data("expected texts");
      ByteReader elements(array.elements);
      to.reserve(array.count);  // fewer than the file has bytes
      for (uint64_t i = 0; i < array.count; ++i) {
        to.emplace_back(TRY(read_text(elements, "a text")));
      }
      return {};
    };
    const auto numbers = [&](auto& to, GgufKind kind) -> Status {
      using Number = typename std::remove_reference_t<decltype(to)>::value_type;
      if (array.kind != kind) return invalid_data("expected an array of another kind");
      to.resize(array.count);
      if (array.count > 0) {
        std::memcpy(to.data(), array.elements.data(), array.count * sizeof(Number));
      }
      return {};
    };
    if (key == "tokenizer.ggml.tokens") return texts(tokenizer_.tokens);
    if (key == "tokenizer.ggml.merges") return texts(tokenizer_.merges);
    if (key == "tokenizer.ggml.scores") return numbers(tokenizer_.scores, GgufKind::Float32);
    if (key == "tokenizer.ggml.token_type") return numbers(tokenizer_.types, GgufKind::Int32);
    return {};
  }

  Status check_tokenizer() const {
    const size_t tokens = tokenizer_.tokens.size();
    const auto check = [&](size_t count, std::string_view what) -> Status {
      if (count == 0 || count == tokens) return {};
      return invalid_data("the tokenizer has {} tokens, but {} {}", tokens, count, what);
    };
    TRY(check(tokenizer_.scores.size(), "scores"));
    return check(tokenizer_.types.size(), "token types");
  }

  // --- Tensors ---

  struct Tensor {
    std::string name;
    const GgufType* type = nullptr;
    Shape shape;
    uint64_t offset = 0, size = 0;  // in the data
  };

  Status read_tensor_list(uint64_t count) {
    std::set<std::string_view> names;
    Error refused{ErrorCode::Unsupported, {}, {}, {}};
    tensors_.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view name = TRY(read_text(reader_, "name of a tensor"));
      if (name.empty() || name.size() > kMaxNameBytes) {
        return invalid_data("a tensor's name of {} bytes, expected 1 to {}", name.size(),
                            kMaxNameBytes);
      }
      if (!names.insert(name).second) return invalid_data("two tensors {}", in_quotes(name));
      Tensor tensor;
      tensor.name = name;
      std::string refusal;
      TRY(within("tensor " + in_quotes(name), read_tensor(&tensor, &refusal)));
      if (!refusal.empty()) refused.items.push_back(in_quotes(name) + ": " + refusal);
      tensors_.push_back(std::move(tensor));
    }
    if (refused.items.empty()) return {};
    refused.message = fmt::format("{} tensors of types that are not read; known are {}",
                                  refused.items.size(), known_types());
    return tl::unexpected(std::move(refused));
  }

  static std::string known_types() {
    std::string names;
    for (const GgufType& type : kGgufTypes) {
      if (type.read) names += (names.empty() ? "" : ", ") + std::string(type.name);
    }
    return names;
  }

  Status read_tensor(Tensor* tensor, std::string* refusal) {
    const auto axes = TRY(reader_.read<uint32_t>("number of axes"));
    if (axes == 0 || axes > kMaxAxes) {
      return invalid_data("{} axes, expected 1 to {}", axes, kMaxAxes);
    }
    for (uint32_t i = 0; i < axes; ++i) {
      const auto size = TRY(reader_.read<uint64_t>("size of an axis"));
      if (size == 0 || size > INT64_MAX) return invalid_data("an axis of size {}", size);
      tensor->shape.insert(tensor->shape.begin(), static_cast<int64_t>(size));
    }
    const auto id = TRY(reader_.read<uint32_t>("type"));
    tensor->offset = TRY(reader_.read<uint64_t>("offset"));
    const auto type = std::find_if(kGgufTypes.begin(), kGgufTypes.end(),
                                   [&](const GgufType& known) { return known.id == id; });
    if (type == kGgufTypes.end()) {
      *refusal = fmt::format("unknown type {}", id);
    } else if (!type->read) {
      *refusal = fmt::format("type {}", type->name);
    } else {
      tensor->type = &*type;
      return measure(tensor);
    }
    return {};
  }

  static Status measure(Tensor* tensor) {
    const GgufType& type = *tensor->type;
    if (tensor->shape.back() % type.block != 0) {
      return invalid_data("rows of {} elements are not made of blocks of {}, as {} is",
                          tensor->shape.back(), type.block, type.name);
    }
    const uint64_t elements = TRY(element_count(tensor->shape));
    if (!checked_mul(elements / type.block, type.bytes, &tensor->size)) {
      return invalid_data("{}{} has more bytes than can be counted", type.name,
                          to_string(tensor->shape));
    }
    return {};
  }

  Result<uint64_t> alignment() const {
    const auto found = metadata_.find(std::string(kGgufAlignmentKey));
    if (found == metadata_.end()) return kGgufAlignment;
    const auto value = TRY(json_int(metadata_, kGgufAlignmentKey));
    if (value < 1 || value > (1 << 20) || (value & (value - 1)) != 0) {
      return invalid_data("{}: expected a power of two, found {}", kGgufAlignmentKey, value);
    }
    return static_cast<uint64_t>(value);
  }

  Status make_weights() {
    if (tensors_.empty()) return invalid_data("the file holds no tensors");
    const uint64_t aligned = TRY(alignment());
    const uint64_t start = align_up(reader_.offset(), aligned);
    const Bytes data = start < bytes_.size() ? bytes_.subspan(start) : Bytes();
    for (const Tensor& tensor : tensors_) {
      if (tensor.offset % aligned != 0) {
        return invalid_data("tensor {}: offset {} is not a multiple of the alignment {}",
                            in_quotes(tensor.name), tensor.offset, aligned);
      }
      if (!range_fits(tensor.offset, tensor.size, data.size())) {
        return invalid_data("tensor {}: bytes {}+{} of the data, but the file has {}; is it whole?",
                            in_quotes(tensor.name), tensor.offset, tensor.size, data.size());
      }
    }
    TRY(check_overlap());
    for (Tensor& tensor : tensors_) {
      const Bytes packed = data.subspan(tensor.offset, tensor.size);
      auto weight = tensor.type->plain
                        ? mapped_weight({*tensor.type->plain, tensor.shape}, packed, owner_)
                        : gguf_weight(*tensor.type, tensor.shape, packed, owner_);
      if (!weight) {
        return tl::unexpected(std::move(weight.error()).within("tensor " + in_quotes(tensor.name)));
      }
      checkpoint_.tensors.emplace_back(std::move(tensor.name), std::move(*weight));
    }
    return {};
  }

  Status check_overlap() const {
    std::vector<const Tensor*> sorted;
    for (const Tensor& tensor : tensors_) sorted.push_back(&tensor);
    std::sort(sorted.begin(), sorted.end(),
              [](const Tensor* a, const Tensor* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < sorted.size(); ++i) {
      if (sorted[i - 1]->offset + sorted[i - 1]->size > sorted[i]->offset) {
        return invalid_data("tensors {} and {} overlap", in_quotes(sorted[i - 1]->name),
                            in_quotes(sorted[i]->name));
      }
    }
    return {};
  }

  Bytes bytes_;
  ByteReader reader_;
  std::shared_ptr<const void> owner_;
  std::vector<Tensor> tensors_;
  GgufTokenizer tokenizer_;
  Json metadata_ = Json::object();
  Checkpoint checkpoint_;
};

}  // namespace

bool is_gguf(Bytes bytes) {
  return bytes.size() >= kGgufMagic.size() && as_text(bytes.first(kGgufMagic.size())) == kGgufMagic;
}

Result<Checkpoint> read_gguf(Bytes bytes, std::shared_ptr<const void> owner) {
  auto checkpoint = GgufReader(bytes, std::move(owner)).read();
  if (checkpoint) checkpoint->format = Format::Gguf;
  return checkpoint;
}

}  // namespace diptych::checkpoint
