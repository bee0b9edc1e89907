#include "checkpoint/torch_writer.h"

#include <map>
#include <set>

#include "base/in_quotes.h"
#include "checkpoint/pickle_format.h"
#include "checkpoint/unpickler.h"
#include "checkpoint/zip.h"

namespace diptych::checkpoint {

namespace {

constexpr std::string_view kFolder = "model/";

// The entry data/<number> of every weight, in the order of first use.
using StorageNumbers = std::map<const Weight*, size_t>;

// Emits the opcodes of a state dict, protocol 2.
class Pickler {
 public:
  std::string pickle(std::span<const NamedWeight> tensors, const StorageNumbers& storages) {
    op(PickleOp::Proto).raw<uint8_t>(2);
    op(PickleOp::EmptyDict).op(PickleOp::Mark);
    for (const NamedWeight& tensor : tensors) {
      text(tensor.first);
      this->tensor(*tensor.second, storages.at(tensor.second.get()));
    }
    op(PickleOp::SetItems).op(PickleOp::Stop);
    return std::move(out_);
  }

 private:
  Pickler& op(PickleOp code) { return raw(code); }

  template <class T>
  Pickler& raw(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }

  void integer(uint64_t number) {
    if (number <= UINT8_MAX) {
      op(PickleOp::BinInt1).raw(static_cast<uint8_t>(number));
    } else if (number <= INT32_MAX) {
      op(PickleOp::BinInt).raw(static_cast<uint32_t>(number));
    } else {
      op(PickleOp::Long1).raw<uint8_t>(8).raw(number);
    }
  }

  void text(std::string_view value) {
    op(PickleOp::BinUnicode).raw(static_cast<uint32_t>(value.size()));
    out_ += value;
  }

  void global(std::string_view name) {
    const size_t space = name.find(' ');
    op(PickleOp::Global);
    out_ += fmt::format("{}\n{}\n", name.substr(0, space), name.substr(space + 1));
  }

  void integers(const std::vector<uint64_t>& numbers) {
    op(PickleOp::Mark);
    for (const uint64_t number : numbers) integer(number);
    op(PickleOp::Tuple);
  }

  // _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())
  void tensor(const Weight& weight, size_t storage) {
    global("torch._utils _rebuild_tensor_v2");
    op(PickleOp::Mark);
    op(PickleOp::Mark);
    text("storage");
    global(storage_class(weight.dtype()));
    text(std::to_string(storage));
    text("cpu");
    integer(weight.elements());
    op(PickleOp::Tuple).op(PickleOp::BinPersId);
    integer(0);
    const std::vector<uint64_t> shape(weight.shape().begin(), weight.shape().end());
    std::vector<uint64_t> stride(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) stride[i - 1] = stride[i] * shape[i];
    integers(shape);
    integers(stride);
    op(PickleOp::NewFalse);
    global("collections OrderedDict");
    op(PickleOp::EmptyTuple).op(PickleOp::Reduce).op(PickleOp::Tuple).op(PickleOp::Reduce);
  }

  std::string out_;
};

}  // namespace

Status write_torch(Sink& sink, std::span<const NamedWeight> tensors, Progress& progress) {
  StorageNumbers numbers;
  std::vector<WeightRef> storages;
  std::set<std::string_view> names;
  uint64_t total = 0;
  for (const NamedWeight& tensor : tensors) {
    if (!names.insert(tensor.first).second) {
      return invalid_argument("two tensors are named {}", in_quotes(tensor.first));
    }
    if (storage_class(tensor.second->dtype()).empty()) {
      return unsupported("tensor {}: torch files hold no {}", in_quotes(tensor.first),
                         name(tensor.second->dtype()));
    }
    const uint64_t size = TRY(packed_size(tensor.second->type()));
    if (!numbers.emplace(tensor.second.get(), storages.size()).second) continue;
    storages.push_back(tensor.second);
    total += size;
  }
  ZipWriter zip(sink);
  const auto add = [&](std::string_view name, const Source& source) {
    return zip.add(fmt::format("{}{}", kFolder, name), source);
  };
  TRY(add("data.pkl", *memory_source(Pickler().pickle(tensors, numbers))));
  TRY(add("byteorder", *memory_source("little")));
  progress.begin("writing tensors", total);
  for (size_t i = 0; i < storages.size(); ++i) {
    const SourceRef source = packed_source(storages[i]);
    TRY(add(fmt::format("data/{}", i), *source));
    progress.advance(source->size());
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
  }
  progress.finish();
  TRY(add("version", *memory_source("3\n")));
  return zip.finish();
}

}  // namespace diptych::checkpoint
