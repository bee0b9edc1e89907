#include "checkpoint/torch_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/in_quotes.h"
#include "checkpoint/strided_weight.h"
#include "checkpoint/unpickler.h"
#include "checkpoint/zip.h"
#include "checkpoint/zip_format.h"

namespace diptych::checkpoint {

namespace {

using Kind = PickleValue::Kind;

// torch names storages by numbers.
constexpr size_t kMaxKeyBytes = 64;
// The folder is named after a file.
constexpr size_t kMaxFolderBytes = 1024;

// A tensor as the pickle describes it: a view of a storage, counted in elements.
struct PickledTensor {
  std::string_view key;  // of the storage: entry data/<key>
  DType dtype = DType::F32;
  uint64_t storage_elements = 0;
  uint64_t offset = 0;
  Shape shape;
  std::vector<int64_t> stride;

  bool operator<(const PickledTensor& other) const {
    return std::tie(key, offset, dtype, shape, stride) <
           std::tie(other.key, other.offset, other.dtype, other.shape, other.stride);
  }
};

Result<const PickleValue*> expect(const Pickle& pickle, PickleId id, Kind kind,
                                  std::string_view what) {
  const PickleValue& value = pickle[id];
  if (value.kind != kind) {
    return invalid_data("{}: expected a {}, found a {}", what, name(kind), name(value.kind));
  }
  return &value;
}

Result<uint64_t> expect_count(const Pickle& pickle, PickleId id, std::string_view what) {
  const auto* value = TRY(expect(pickle, id, Kind::Int, what));
  if (value->integer < 0) return invalid_data("{}: found {}", what, value->integer);
  return static_cast<uint64_t>(value->integer);
}

Result<std::vector<int64_t>> expect_ints(const Pickle& pickle, PickleId id, std::string_view what) {
  const auto* tuple = TRY(expect(pickle, id, Kind::Tuple, what));
  if (tuple->items.size() > kMaxTensorAxes) {
    return invalid_data("{}: {} axes, expected at most {}", what, tuple->items.size(),
                        kMaxTensorAxes);
  }
  std::vector<int64_t> numbers;
  for (const PickleId item : tuple->items) {
    numbers.push_back(static_cast<int64_t>(TRY(expect_count(pickle, item, what))));
  }
  return numbers;
}

// ('storage', class, key, location, elements)
Status read_storage(const Pickle& pickle, PickleId id, PickledTensor* tensor) {
  const auto* persistent = TRY(expect(pickle, id, Kind::PersistentId, "storage"));
  const auto* tuple = TRY(expect(pickle, persistent->items[0], Kind::Tuple, "storage"));
  if (tuple->items.size() != 5 || pickle[tuple->items[0]].text != "storage") {
    return invalid_data("a storage is described by a tuple of {}, expected 'storage' and 4 more",
                        tuple->items.size());
  }
  const auto* storage = TRY(expect(pickle, tuple->items[1], Kind::Global, "class of a storage"));
  const auto dtype = storage_dtype(storage->text);
  if (!dtype) return invalid_data("{} is no storage class", in_quotes(storage->text));
  tensor->dtype = *dtype;
  tensor->key = TRY(expect(pickle, tuple->items[2], Kind::Text, "key of a storage"))->text;
  if (tensor->key.size() > kMaxKeyBytes) {
    return invalid_data("key of a storage: {} bytes, expected at most {}", tensor->key.size(),
                        kMaxKeyBytes);
  }
  tensor->storage_elements = TRY(expect_count(pickle, tuple->items[4], "size of a storage"));
  return {};
}

// _rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks[, metadata]), perhaps
// inside _rebuild_parameter(tensor, requires_grad, hooks).
Result<PickledTensor> read_tensor(const Pickle& pickle, PickleId id) {
  const auto* value = &pickle[id];
  // The arguments, if the value is a call of `callee`.
  const auto arguments_of = [&](std::string_view callee) -> const std::vector<PickleId>* {
    const bool called = value->kind == Kind::Call && pickle[value->items[0]].text == callee;
    return called ? &pickle[value->items[1]].items : nullptr;
  };
  if (const auto* arguments = arguments_of("torch._utils _rebuild_parameter");
      arguments != nullptr && arguments->size() == 3) {
    value = &pickle[arguments->front()];
  }
  const auto* arguments = arguments_of("torch._utils _rebuild_tensor_v2");
  if (arguments == nullptr) {
    return unsupported("expected a tensor, found a {}; save model.state_dict() with torch.save",
                       name(value->kind));
  }
  if (arguments->size() < 6 || arguments->size() > 7) {
    return invalid_data("_rebuild_tensor_v2 with {} arguments, expected 6 or 7", arguments->size());
  }
  PickledTensor tensor;
  TRY(read_storage(pickle, (*arguments)[0], &tensor));
  tensor.offset = TRY(expect_count(pickle, (*arguments)[1], "offset in a storage"));
  tensor.shape = TRY(expect_ints(pickle, (*arguments)[2], "shape"));
  tensor.stride = TRY(expect_ints(pickle, (*arguments)[3], "strides"));
  return tensor;
}

// What programs put a state dict under, beside an optimizer's state and the like.
constexpr std::string_view kStateDictKeys[] = {"model", "state_dict", "model_state_dict", "module"};

// The dict of tensors: the root, or the dict that it holds under one of the keys above.
Result<const PickleValue*> find_state_dict(const Pickle& pickle) {
  const auto* root = &pickle[pickle.root];
  if (root->kind != Kind::Dict) {
    return unsupported("expected a state dict, found a {}; save model.state_dict() with torch.save",
                       name(root->kind));
  }
  const PickleValue* found = nullptr;
  std::string_view found_under;
  for (size_t i = 0; i < root->items.size(); i += 2) {
    const PickleValue& key = pickle[root->items[i]];
    const PickleValue& value = pickle[root->items[i + 1]];
    if (key.kind != Kind::Text || value.kind != Kind::Dict) continue;
    if (std::find(std::begin(kStateDictKeys), std::end(kStateDictKeys), key.text) ==
        std::end(kStateDictKeys)) {
      continue;
    }
    if (found != nullptr) {
      return unsupported("two state dicts, {} and {}; save the one that is meant with torch.save",
                         in_quotes(found_under), in_quotes(key.text));
    }
    found = &value;
    found_under = key.text;
  }
  return found != nullptr ? found : root;
}

class TorchReader {
 public:
  TorchReader(ZipReader zip, uint64_t bytes, std::shared_ptr<const void> owner)
      : zip_(std::move(zip)), bytes_(bytes), owner_(std::move(owner)) {}

  Result<Checkpoint> read() {
    TRY(find_folder());
    TRY(check_byte_order());
    const ZipEntry& entry = *zip_.find(folder_ + "data.pkl");
    TRY(zip_.check_crc(entry));
    const Pickle pickle = TRY(within(in_quotes(entry.name), unpickle(TRY(zip_.data(entry)))));
    const auto* dict = TRY(find_state_dict(pickle));
    Checkpoint checkpoint;
    std::set<std::string_view> names;
    for (size_t i = 0; i < dict->items.size(); i += 2) {
      const auto* key = TRY(expect(pickle, dict->items[i], Kind::Text, "name of a tensor"));
      if (!names.insert(key->text).second) {
        return invalid_data("the state dict has two entries {}", in_quotes(key->text));
      }
      WeightRef weight =
          TRY(within("entry " + in_quotes(key->text), read_weight(pickle, dict->items[i + 1])));
      checkpoint.tensors.emplace_back(key->text, std::move(weight));
    }
    if (checkpoint.tensors.empty()) return invalid_data("the state dict is empty");
    return checkpoint;
  }

 private:
  // All entries stand in one folder, named after the file when it was saved.
  Status find_folder() {
    const ZipEntry* pickle = nullptr;
    for (const ZipEntry& entry : zip_.entries()) {
      const size_t slash = entry.name.find('/');
      if (slash == std::string::npos || entry.name.substr(slash + 1) != "data.pkl") continue;
      if (pickle) {
        return invalid_data("two pickles, {} and {}, expected one", in_quotes(pickle->name),
                            in_quotes(entry.name));
      }
      pickle = &entry;
    }
    if (!pickle) {
      return invalid_data("not a torch file: the zip archive has no entry NAME/data.pkl");
    }
    folder_ = pickle->name.substr(0, pickle->name.find('/') + 1);
    if (folder_.size() > kMaxFolderBytes) {
      return invalid_data("the zip archive's folder has a name of {} bytes, expected at most {}",
                          folder_.size() - 1, kMaxFolderBytes - 1);
    }
    if (zip_.find(folder_ + "constants.pkl")) {
      return unsupported("a TorchScript archive; save its state_dict() with torch.save instead");
    }
    return {};
  }

  // Older files lack the entry; they come from little-endian machines.
  Status check_byte_order() {
    const ZipEntry* entry = zip_.find(folder_ + "byteorder");
    if (!entry) return {};
    const auto order = as_text(TRY(zip_.data(*entry)));
    if (order == "big") {
      return unsupported(
          "the tensors are big-endian; load and save the file once more on a "
          "little-endian machine");
    }
    if (order != "little") {
      return invalid_data("entry {}: expected \"little\", found {}", in_quotes(entry->name),
                          in_quotes(order));
    }
    return {};
  }

  Result<WeightRef> read_weight(const Pickle& pickle, PickleId id) {
    PickledTensor tensor = TRY(read_tensor(pickle, id));
    if (const auto known = weights_.find(tensor); known != weights_.end()) return known->second;
    const std::string name = fmt::format("{}data/{}", folder_, tensor.key);
    const ZipEntry* entry = zip_.find(name);
    if (!entry) return invalid_data("its storage is missing: no zip entry {}", in_quotes(name));
    const Bytes storage = TRY(zip_.data(*entry));
    const uint64_t width = static_cast<uint64_t>(bit_width(tensor.dtype)) / 8;
    if (storage.size() % width != 0 || storage.size() / width != tensor.storage_elements) {
      return invalid_data("its storage, zip entry {}, should hold {} elements {}, found {} bytes",
                          in_quotes(name), tensor.storage_elements, diptych::name(tensor.dtype),
                          storage.size());
    }
    WeightRef weight = TRY(
        view_weight({tensor.dtype, tensor.shape}, storage, tensor.offset, tensor.stride, owner_));
    // Different views of few bytes could stand for any number of tensors.
    viewed_ += TRY(packed_size(weight->type()));
    if (viewed_ / kMostViews > bytes_) {
      return unsupported(
          "with it the tensors have more than {} times the file's {} bytes, for they are views of "
          "the same storages; save them with .contiguous()",
          kMostViews, bytes_);
    }
    weights_.emplace(std::move(tensor), weight);
    return weight;
  }

  static constexpr uint64_t kMostViews = 4;  // of each byte, on average

  ZipReader zip_;
  uint64_t bytes_;       // of the file
  uint64_t viewed_ = 0;  // of all weights
  std::shared_ptr<const void> owner_;
  std::string folder_;  // with its slash
  std::map<PickledTensor, WeightRef> weights_;
};

}  // namespace

bool is_torch_archive(Bytes bytes) {
  return bytes.size() >= 4 && load<uint32_t>(bytes.data()) == kLocalSignature;
}

Result<Checkpoint> read_torch(Bytes bytes, std::shared_ptr<const void> owner) {
  return TorchReader(TRY(ZipReader::open(bytes)), bytes.size(), std::move(owner)).read();
}

}  // namespace diptych::checkpoint
