#include "exporter/adapter.h"

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/safetensors_reader.h"
#include "llama/adapter.h"

namespace diptych::exporter {

Status merge_adapter(const std::string& directory, Model& model) {
  constexpr uint64_t kMostConfig = 1 << 20;
  const auto in = [&](const char* name) {
    return (std::filesystem::path(directory) / name).string();
  };
  const std::string config_path = in("adapter_config.json");
  const Json config =
      TRY(within(config_path, parse_json(TRY(read_text_file(config_path, kMostConfig)))));
  const std::string path = in("adapter_model.safetensors");
  const auto file = TRY(MappedFile::open(path));
  const auto tensors = TRY(within(path, checkpoint::read_safetensors(file->bytes(), file))).tensors;
  const size_t merged = TRY(within(
      directory, llama::merge_adapter(config, tensors, model.params, model.family, model.weights)));
  model.notes.push_back(fmt::format("{}: merged into {} linears", directory, merged));
  return {};
}

}  // namespace diptych::exporter
