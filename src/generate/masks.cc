#include "generate/masks.h"

#include <algorithm>
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

void put_row(const contract::Model& model, const contract::LayerClass& layers,
             const Columns& columns, int64_t row, const uint8_t* visible, MutableBytes mask) {
  const auto tokens = static_cast<int64_t>(columns.positions.size());
  const size_t row_bytes = mask.size() / static_cast<size_t>(tokens);
  EntryWriter entries(model, &mask[static_cast<size_t>(row) * row_bytes]);
  // The first position that the row sees.
  const int64_t first =
      layers.window
          ? std::max<int64_t>(0, columns.positions[static_cast<size_t>(row)] - *layers.window + 1)
          : 0;
  for (int64_t slot = 0; slot < layers.cache_len; ++slot) {
    const int64_t position = columns.first_position + slot;
    entries.put(position >= first && position < columns.cached);
  }
  for (int64_t column = 0; column < tokens; ++column) {
    const bool shown = visible != nullptr ? visible[column] != 0 : column <= row;
    entries.put(shown && columns.positions[static_cast<size_t>(column)] >= first);
  }
}

}  // namespace diptych::generate
