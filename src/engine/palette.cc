#include "engine/palette.h"

#include "tensor/weight.h"

namespace diptych::engine {

Result<std::optional<Palette>> Palette::open(const mil::Value& value, Form form) {
  if (value.type.rank() != 2) return std::nullopt;
  const auto stored = palette_weight(value);
  if (!stored) return std::nullopt;
  const auto bytes = stored->indices->bytes();
  const int bits = bit_width(stored->indices->dtype());
  const int64_t rows = value.type.shape[0], columns = value.type.shape[1];
  if (!bytes || stored->tables->shape()[1] != 1 || !kernels::can_look_up(bits, columns)) {
    return std::nullopt;
  }
  Palette palette;
  palette.stored_ = *stored;
  palette.weight_ = {bytes->data(), bits, rows, columns, rows / stored->tables->rows()};
  auto tables = std::make_shared<Tables>();
  tables->entries = TRY(read_floats(*stored->tables));
  if (form == Form::Int8) {
    const size_t size = size_t{1} << bits;
    tables->codes.resize(tables->entries.size());
    for (size_t at = 0; at < tables->entries.size(); at += size) {
      const float scale = kernels::palette_codes(std::span(tables->entries).subspan(at, size),
                                                 tables->codes.data() + at);
      tables->scales.insert(tables->scales.end(),
                            static_cast<size_t>(palette.weight_.rows_per_table), scale);
    }
    std::vector<float>().swap(tables->entries);
  }
  palette.weight_.codes = tables->codes.data();
  palette.weight_.scales = tables->scales.data();
  palette.weight_.entries = tables->entries.data();
  palette.tables_ = std::move(tables);
  return palette;
}

}  // namespace diptych::engine
