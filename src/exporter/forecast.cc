#include "exporter/forecast.h"

#include <algorithm>

#include "base/thread_pool.h"

namespace diptych::exporter {

namespace {

// Hardware dimensions seen by those who probe the Neural Engine: the ANEMLL project's conversion
// notes and the coremlmodels project's chunked heads.
constexpr int64_t kLargestDimension = 16384;
// Weight files that its compiler was seen to take, same notes: about 1 GB on iOS, 2 GB on macOS.
constexpr uint64_t kLargestOnPhones = 1'000'000'000, kLargestOnMacs = 2'000'000'000;

// Measured: the program with its libraries, and what one operation of a method's graph costs while
// its model is laid out and serialised.
constexpr uint64_t kProgramBytes = 24 << 20;
constexpr uint64_t kBytesPerOperation = 12 << 10;
// Of the source stay resident until released (MappedFile::note_read()).
constexpr uint64_t kResidentSource = 64 << 20;
constexpr uint64_t kBytesPerThread = 6 << 20;  // blocks of rows and their conversions

std::vector<std::string> neural_engine_warnings(const llama::Params& params, const Options& options,
                                                const Report& report) {
  std::vector<std::string> warnings;
  if (options.dtype == DType::F32) {
    warnings.emplace_back(
        "fp32: the Neural Engine computes in fp16, Core ML runs other programs on CPU and GPU "
        "(source: Core ML Tools' guide, typed execution)");
  }
  const auto pieces = [&](int64_t outputs) {
    return outputs / passes::split_count(outputs, options.split);
  };
  struct Dimension {
    std::string_view what;
    int64_t size;
  };
  const Dimension dimensions[] = {
      {"inputs of the attention's output linear", params.q_dim()},
      {"inputs of linears (dim)", params.dim},
      {"inputs of the down projection (hidden_dim)", params.hidden_dim},
      {"outputs of a piece of gate and up projections", pieces(params.hidden_dim)},
      {"outputs of a piece of the head (vocab_size)", pieces(params.vocab_size)},
      {"positions of attention (max_context_len)", options.max_context_len},
  };
  for (const Dimension& dimension : dimensions) {
    if (dimension.size <= kLargestDimension) continue;
    warnings.push_back(fmt::format(
        "{}: {} exceeds {}, the largest dimension known to run there (source: measurements of the "
        "ANEMLL and coremlmodels projects)",
        dimension.what, dimension.size, kLargestDimension));
  }
  for (size_t i = 0; i < report.package_bytes.size(); ++i) {
    const uint64_t bytes = report.package_bytes[i];
    if (bytes <= kLargestOnPhones) continue;
    warnings.push_back(fmt::format(
        "partition {}: {:.2f} GB of weights exceed the {} that one model is known to have on {} "
        "(source: conversion notes of the ANEMLL project)",
        i, static_cast<double>(bytes) / 1e9, bytes > kLargestOnMacs ? "2 GB" : "1 GB",
        bytes > kLargestOnMacs ? "macOS" : "iOS"));
  }
  return warnings;
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
  Forecast result;
  Progress silent;
  const Export planned = TRY(plan(model.params, std::move(model.weights), options, silent,
                                  Reading::HeadersOnly, model.card));
  result.report = planned.report;
  result.report.tensors = model.tensors;
  result.report.notes.insert(result.report.notes.begin(), model.notes.begin(), model.notes.end());
  result.peak_memory_bytes = peak_memory(model.params, options, result.report, source_bytes) +
                             model.card.tokenizer.size() + planned.calibration_bytes;
  result.neural_engine_warnings = neural_engine_warnings(model.params, options, result.report);
  return result;
}

}  // namespace diptych::exporter
