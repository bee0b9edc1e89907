#include "exporter/adapter.h"

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/safetensors_reader.h"
#include "llama/adapter.h"

namespace diptych::exporter {

namespace {

Result<llama::Adapter> open_adapter(const std::string& directory, const Model& model) {
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
  return within(directory, llama::read_adapter(config, tensors, model.params, model.family));
}

}  // namespace

Status add_adapters(const std::vector<AdapterSource>& sources, Model& model) {
  for (const AdapterSource& source : sources) {
    llama::Adapter adapter = TRY(open_adapter(source.directory, model));
    if (source.name.empty()) {
      TRY(within(source.directory, llama::merge_adapter(adapter, model.weights)));
      model.notes.push_back(fmt::format("{}: merged into {} linears", source.directory,
                                        llama::count_linears(adapter)));
    } else {
      adapter.name = source.name;
      model.weights.adapters.push_back(std::move(adapter));
    }
  }
  return {};
}

}  // namespace diptych::exporter
