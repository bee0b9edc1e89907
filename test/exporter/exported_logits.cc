#include "exported_logits.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "generate/session.h"
#include "testing/shared_data.h"

namespace diptych::testing {

namespace {

Result<std::vector<float>> read_logits(const std::string& path, const std::vector<int64_t>& tokens,
                                       engine::Numerics numerics, std::string_view adapter) {
  runtime::Options options;
  options.numerics = numerics;
  const auto session =
      TRY(generate::Session::create(TRY(runtime::Program::open(path, options)), adapter));
  std::vector<float> logits;
  TRY(session->evaluate_each(tokens, [&](size_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
    return Status();
  }));
  return logits;
}

Status write_export(const llama::Params& params, const llama::LlamaWeights& weights,
                    const exporter::Options& options, const std::string& path) {
  Progress silent;
  const exporter::Export planned = TRY(exporter::plan(params, weights, options, silent));
  return write_file(path, *planned.file);
}

}  // namespace

std::vector<float> logits_of_file(const std::string& path, const std::vector<int64_t>& tokens,
                                  engine::Numerics numerics, std::string_view adapter) {
  const auto logits = read_logits(path, tokens, numerics, adapter);
  if (logits) return *logits;
  ADD_FAILURE() << logits.error().to_string();
  return {};
}

std::vector<float> exported_logits(const llama::Params& params, const llama::LlamaWeights& weights,
                                   const exporter::Options& options, const std::string& path,
                                   const std::vector<int64_t>& tokens, engine::Numerics numerics) {
  const Status written = write_export(params, weights, options, path);
  if (written) return logits_of_file(path, tokens, numerics);
  ADD_FAILURE() << written.error().to_string();
  return {};
}

}  // namespace diptych::testing
