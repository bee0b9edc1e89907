#include "checkpoint/safetensors_reader.h"

#include <algorithm>
#include <map>

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::checkpoint {

namespace {

constexpr uint64_t kLengthBytes = 8;
// Enough for 100,000 tensors. Parsed JSON takes many times the room of its text.
constexpr uint64_t kMaxHeaderBytes = 16 << 20;
constexpr std::string_view kMetadata = "__metadata__";

// The element types that are read.
struct StoredType {
  std::string_view name;
  DType dtype;
};
constexpr StoredType kStoredTypes[] = {
    {"F32", DType::F32},
    {"F16", DType::F16},
    {"BF16", DType::BF16},
};

// A tensor's entry in the header.
struct Entry {
  std::string name;
  TensorType type;
  uint64_t begin = 0, end = 0;  // in the data
};

Result<uint64_t> expect_offset(const Json& value, std::string_view what) {
  if (!value.is_number_unsigned()) {
    return invalid_data("{}: expected a count, found {}", what, dump_json(value).substr(0, 40));
  }
  return value.get<uint64_t>();
}

Result<Entry> parse_entry(const std::string& name, const Json& json) {
  Entry entry;
  entry.name = name;
  const std::string dtype = TRY(json_string(json, "dtype"));
  const auto known = std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                                  [&](const StoredType& type) { return type.name == dtype; });
  if (known == std::end(kStoredTypes)) {
    return unsupported("element type {}, expected F32, F16 or BF16", in_quotes(dtype));
  }
  entry.type.dtype = known->dtype;
  const Json* shape = TRY(json_member(json, "shape"));
  if (!shape->is_array()) return invalid_data("\"shape\": expected a list");
  if (shape->size() > kMaxTensorAxes) {
    return invalid_data("\"shape\": {} axes, expected at most {}", shape->size(), kMaxTensorAxes);
  }
  for (const Json& size : *shape) {
    const uint64_t extent = TRY(expect_offset(size, "shape"));
    if (extent > INT64_MAX) return invalid_data("shape: {} is out of range", extent);
    entry.type.shape.push_back(static_cast<int64_t>(extent));
  }
  const Json* offsets = TRY(json_member(json, "data_offsets"));
  if (!offsets->is_array() || offsets->size() != 2) {
    return invalid_data("\"data_offsets\": expected two numbers");
  }
  entry.begin = TRY(expect_offset((*offsets)[0], "data_offsets"));
  entry.end = TRY(expect_offset((*offsets)[1], "data_offsets"));
  const uint64_t size = TRY(packed_size(entry.type));
  if (entry.end < entry.begin || entry.end - entry.begin != size) {
    return invalid_data("data_offsets [{}, {}]: {} needs {} bytes", entry.begin, entry.end,
                        to_string(entry.type), size);
  }
  return entry;
}

// Entries cover [0, size) exactly.
Status check_cover(const std::vector<Entry>& entries, uint64_t size) {
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      return invalid_data("tensor {} begins at {} of the data, expected {}: {}",
                          in_quotes(entry.name), entry.begin, position,
                          entry.begin < position ? "tensors overlap" : "there is a gap");
    }
    if (entry.end > size) {
      return invalid_data("tensor {} ends at {} of the data, but the file ends at {}; is it whole?",
                          in_quotes(entry.name), entry.end, size);
    }
    position = entry.end;
  }
  if (position != size) {
    return invalid_data("the tensors end at {} of the data, but the file goes on to {}", position,
                        size);
  }
  return {};
}

}  // namespace

bool is_safetensors(Bytes bytes) {
  return bytes.size() > kLengthBytes && bytes[kLengthBytes] == std::byte{'{'} &&
         load<uint64_t>(bytes.data()) < uint64_t{1} << 48;
}

Result<Checkpoint> read_safetensors(Bytes bytes, std::shared_ptr<const void> owner) {
  ByteReader reader(bytes);
  const auto length = TRY(reader.read<uint64_t>("length of the header"));
  if (length > kMaxHeaderBytes) {
    return invalid_data("offset 0: a header of {} bytes, expected at most {}", length,
                        kMaxHeaderBytes);
  }
  const Bytes header = TRY(reader.take(length, "header"));
  const Bytes data = bytes.subspan(kLengthBytes + length);
  const Json json = TRY(within("header", parse_json(as_text(header))));
  if (!json.is_object()) return invalid_data("header: expected an object");

  std::vector<Entry> entries;
  Error refused{ErrorCode::Unsupported, {}, "tensors of element types that are not read", {}};
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadata) continue;
    auto entry = within("tensor " + in_quotes(name), parse_entry(name, value));
    if (entry) {
      entries.push_back(std::move(*entry));
    } else if (entry.error().code == ErrorCode::Unsupported) {
      refused.items.push_back(entry.error().to_string());
    } else {
      return tl::unexpected(std::move(entry.error()));
    }
  }
  if (!refused.items.empty()) return tl::unexpected(std::move(refused));
  if (entries.empty()) return invalid_data("the file holds no tensors");
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  TRY(check_cover(entries, data.size()));

  Checkpoint checkpoint;
  checkpoint.format = Format::Safetensors;
  for (Entry& entry : entries) {
    const Bytes packed = data.subspan(entry.begin, entry.end - entry.begin);
    WeightRef weight = TRY(mapped_weight(std::move(entry.type), packed, owner));
    checkpoint.tensors.emplace_back(std::move(entry.name), std::move(weight));
  }
  return checkpoint;
}

Result<ShardIndex> parse_shard_index(std::string_view text) {
  const Json json = TRY(parse_json(text));
  const Json* map = TRY(json_member(json, "weight_map"));
  if (!map->is_object() || map->empty()) {
    return invalid_data("\"weight_map\": expected an object of tensors and files");
  }
  ShardIndex index;
  std::map<std::string, size_t> places;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) return invalid_data("\"weight_map\": expected names of files");
    const std::string& name = file.get_ref<const std::string&>();
    if (name.empty() || name.find('/') != name.npos || name == "." || name == ".." ||
        name.find('\0') != name.npos) {
      return invalid_data("tensor {} is said to lie in {}, expected a file of the same directory",
                          in_quotes(tensor), in_quotes(name));
    }
    const auto [place, added] = places.emplace(name, index.files.size());
    if (added) index.files.push_back(name);
    index.tensors.emplace_back(tensor, place->second);
  }
  return index;
}

}  // namespace diptych::checkpoint
