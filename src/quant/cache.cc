#include "quant/cache.h"

#include "tensor/slice_origin.h"

namespace diptych::quant {

namespace {

auto key_of(const Weight* source, const Quantization& how) {
  return std::make_tuple(source, how.format.bits, how.format.group, how.format.kind, how.algorithm);
}

// Rows [first, first + rows) of a weight in the same form.
Result<QuantizedWeight> sliced(const QuantizedWeight& all, const Format& format, int64_t first,
                               int64_t rows, std::string_view tensor) {
  QuantizedWeight slice{row_slice(all.codes, first, rows), nullptr, all.error, all.table};
  if (all.scales) slice.scales = row_slice(all.scales, first, rows);
  if (all.offsets) slice.offsets = row_slice(all.offsets, first, rows);
  if (all.table && format.group != 0) {
    if (first % format.group != 0 || rows % format.group != 0) {
      return invalid_argument("{}: rows {} to {} do not end where groups of {} rows do", tensor,
                              first, first + rows, format.group);
    }
    slice.table = row_slice(all.table, first / format.group, rows / format.group);
  }
  return slice;
}

}  // namespace

Result<QuantizedWeight> Cache::quantize(const WeightRef& source, const Quantization& how,
                                        std::string_view tensor) {
  const auto found = known_.find(key_of(source.get(), how));
  if (found != known_.end()) return found->second.quantized;
  const SliceOrigin origin = slice_origin(*source);
  const bool one_table = how.format.kind == Kind::Palette && how.format.group == 0;
  if (origin.source && one_table) TRY(quantize(origin.source, how, tensor));
  const auto whole = known_.find(key_of(origin.source.get(), how));
  QuantizedWeight made =
      whole == known_.end()
          ? TRY(quant::quantize(source, how, tensor))
          : TRY(sliced(whole->second.quantized, how.format, origin.first, source->rows(), tensor));
  remember(source, how, std::move(made));
  return known_.at(key_of(source.get(), how)).quantized;
}

void Cache::remember(WeightRef source, const Quantization& how, QuantizedWeight quantized) {
  const auto key = key_of(source.get(), how);
  known_.insert_or_assign(key, Entry{std::move(source), how, std::move(quantized)});
}

std::vector<Cache::Entry> Cache::entries() const {
  std::vector<Entry> entries;
  for (const auto& [key, entry] : known_) entries.push_back(entry);
  return entries;
}

}  // namespace diptych::quant
