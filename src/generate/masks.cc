#include "generate/masks.h"

#include <bit>

#include "base/half.h"

namespace diptych::generate {
namespace {

// Writes entries of fp16 or fp32, one after the other.
class EntryWriter {
 public:
  EntryWriter(const contract::Model& model, std::byte* out)
      : half_(model.dtype == DType::F16),
        hidden_(half_ ? float_to_half(model.hidden) : std::bit_cast<uint32_t>(model.hidden)),
        out_(out) {}

  void put(bool visible) {
    const uint32_t entry = visible ? 0 : hidden_;
    if (half_) {
      store(out_, static_cast<uint16_t>(entry));
      out_ += sizeof(uint16_t);
    } else {
      store(out_, entry);
      out_ += sizeof(uint32_t);
    }
  }

 private:
  bool half_;
  uint32_t hidden_;
  std::byte* out_;
};

}  // namespace

void put_row(const contract::Model& model, const contract::LayerClass& layers, int64_t tokens,
             const RowView& view, MutableBytes mask) {
  const size_t row_bytes = mask.size() / static_cast<size_t>(tokens);
  EntryWriter entries(model, &mask[static_cast<size_t>(view.row) * row_bytes]);
  for (int64_t slot = 0; slot < layers.cache_len; ++slot) entries.put(slot < view.cached);
  for (int64_t column = 0; column < tokens; ++column) {
    entries.put(view.visible != nullptr ? view.visible[column] != 0 : column <= view.row);
  }
}

}  // namespace diptych::generate
