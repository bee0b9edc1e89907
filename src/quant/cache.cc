#include "quant/cache.h"

#include "tensor/slice_origin.h"

namespace diptych::quant {

namespace {

auto key_of(const Weight* source, const Quantization& how) {
  return std::make_tuple(source, how.format.bits, how.format.group, how.format.kept, how.algorithm);
}

}  // namespace

Result<QuantizedWeight> Cache::quantize(const WeightRef& source, const Quantization& how,
                                        std::string_view tensor) {
  const auto found = known_.find(key_of(source.get(), how));
  if (found != known_.end()) return found->second.quantized;
  const SliceOrigin origin = slice_origin(*source);
  const auto whole = known_.find(key_of(origin.source.get(), how));
  if (whole == known_.end()) {
    remember(source, how, TRY(quant::quantize(source, how, tensor)));
  } else {
    const QuantizedWeight& all = whole->second.quantized;
    const auto slice = [&](const WeightRef& part) {
      return part ? row_slice(part, origin.first, source->rows()) : nullptr;
    };
    remember(source, how, {slice(all.codes), slice(all.scales), all.error, slice(all.offsets)});
  }
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
