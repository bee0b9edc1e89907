#include "exporter/forecast.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "exporter/rotations.h"

namespace diptych::exporter {

namespace {

// Measured: the program with its libraries, and what one operation of a method's graph costs while
// its model is laid out and serialised.
constexpr uint64_t kProgramBytes = 24 << 20;
constexpr uint64_t kBytesPerOperation = 12 << 10;
// Of the source stay resident until released (MappedFile::note_read()).
constexpr uint64_t kResidentSource = 64 << 20;
constexpr uint64_t kBytesPerThread = 6 << 20;  // blocks of rows and their conversions

// All rows of the largest matrix whose rows are rotated, which are computed together.
uint64_t rotation_bytes(const llama::Params& params, llama::Rotations rotations) {
  const auto columns = static_cast<uint64_t>(std::max(params.hidden_dim, params.q_dim()));
  return rotations.stream ? static_cast<uint64_t>(params.dim) * columns * sizeof(float) : 0;
}

uint64_t peak_memory(const llama::Params& params, const Options& options, const Report& report,
                     uint64_t source_bytes) {
  uint64_t operations = 0;
  for (const Report::Partition& partition : report.partitions) operations += partition.operations;
  const auto width = static_cast<uint64_t>(bit_width(options.dtype)) / 8;
  const uint64_t tables = 2 * static_cast<uint64_t>(options.max_context_len) *
                          static_cast<uint64_t>(params.rope_dim()) * width;
  const auto threads =
      static_cast<uint64_t>(options.threads > 0 ? options.threads : ThreadPool::default_threads());
  return kProgramBytes + operations * kBytesPerOperation + 2 * tables + threads * kBytesPerThread +
         std::min(source_bytes, kResidentSource);
}

}  // namespace

Result<Forecast> forecast(Model model, const Options& options) {
  uint64_t source_bytes = 0;
  const llama::LlamaWeights& weights = model.weights;
  for (const auto& [row, layer] : llama::all_tensors(weights.layers.size())) {
    const WeightRef& weight = row->in(weights, layer);
    const bool again = row->presence == llama::Presence::Untied && weights.tied();
    if (!weight || again || weight->type().rank() != 2) continue;
    source_bytes += packed_size(weight->type()).value_or(0);
  }
  const uint64_t rotated =
      rotation_bytes(model.params, TRY(rotations_of(model.params, weights, options)));
  Forecast result;
  Progress silent;
  const Export planned = TRY(plan(model.params, std::move(model.weights), options, silent,
                                  Reading::HeadersOnly, model.card));
  result.report = planned.report;
  result.report.tensors = model.tensors;
  result.report.notes.insert(result.report.notes.begin(), model.notes.begin(), model.notes.end());
  result.peak_memory_bytes = peak_memory(model.params, options, result.report, source_bytes) +
                             model.card.tokenizer.size() + planned.calibration_bytes + rotated;
  return result;
}

}  // namespace diptych::exporter
