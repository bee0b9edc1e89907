#include "coreml/package.h"

#include <filesystem>

#include "base/file.h"
#include "base/json.h"

namespace diptych::coreml {

namespace {

constexpr std::string_view kManifest = "Manifest.json";
constexpr std::string_view kData = "Data/";  // the manifest's paths are relative to it
constexpr std::string_view kModelPath = "com.apple.CoreML/model.mlmodel";
constexpr std::string_view kWeightsPath = "com.apple.CoreML/weights";
constexpr std::string_view kWeightFile = "weights/weight.bin";  // relative to the model's directory
// What map_model() calls a model that is no package.
constexpr std::string_view kSpecification = "model.mlmodel";
constexpr size_t kMaxManifestBytes = 1 << 20;

std::string item_id(const Digest& identity, std::string_view item) {
  Hasher hasher;
  hasher.add(identity);
  hasher.add(item);
  return uuid_from(hasher.digest());
}

Json item_json(std::string_view description, std::string_view name, std::string_view path) {
  return {{"author", "com.apple.CoreML"},
          {"description", std::string(description)},
          {"name", std::string(name)},
          {"path", std::string(path)}};
}

std::string manifest_text(const Digest& identity) {
  const std::string model = item_id(identity, kModelPath);
  const std::string weights = item_id(identity, kWeightsPath);
  std::map<std::string, Json> items;  // sorted by id
  items[weights] = item_json("CoreML Model Weights", "weights", kWeightsPath);
  items[model] = item_json("CoreML Model Specification", "model.mlmodel", kModelPath);
  Json entries = Json::object();
  for (auto& [id, item] : items) entries[id] = std::move(item);
  return dump_json({{"fileFormatVersion", "1.0.0"},
                    {"itemInfoEntries", std::move(entries)},
                    {"rootModelIdentifier", model}},
                   4) +
         "\n";
}

// The path of the model under Data/.
Result<std::string> root_model_path(std::string_view manifest) {
  if (manifest.size() > kMaxManifestBytes) {
    return invalid_data("expected at most {} bytes, found {}", kMaxManifestBytes, manifest.size());
  }
  const Json json = TRY(parse_json(manifest));
  const std::string root = TRY(json_string(json, "rootModelIdentifier"));
  const Json* entries = TRY(json_member(json, "itemInfoEntries"));
  const Json* item = TRY(json_member(*entries, root));
  std::string path = TRY(json_string(*item, "path"));
  TRY(check_relative_path(path, "path of the model"));
  return path;
}

Result<const FileView*> find_file(const FileMap& files, const std::string& path) {
  const auto found = files.find(path);
  if (found == files.end()) return not_found("the package has no file \"{}\"", path);
  return &found->second;
}

// The model at a path, and the weight file beside it if there is one.
Result<Model> read_with_weights(const FileMap& files, const std::string& model_path,
                                ThreadPool* pool) {
  const FileView* model = TRY(find_file(files, model_path));
  const std::string directory = model_path.substr(0, model_path.rfind('/') + 1);
  WeightFile weights;
  if (const auto found = files.find(directory + std::string(kWeightFile)); found != files.end()) {
    weights = TRY(within(std::string(kWeightFile),
                         WeightFile::open(found->second.bytes, found->second.owner)));
  }
  return read_model(model->bytes, weights, pool);
}

}  // namespace

std::vector<FileEntry> package_files(const SerializedModel& model, const Digest& identity,
                                     std::shared_ptr<ThreadPool> pool) {
  const std::string data(kData);
  return {{data + std::string(kWeightsPath) + "/weight.bin", model.weights.source(std::move(pool))},
          {data + std::string(kModelPath), memory_source(model.mlmodel)},
          {std::string(kManifest), memory_source(manifest_text(identity))}};
}

Result<Model> read_package(const FileMap& files, std::string_view prefix, ThreadPool* pool) {
  const std::string base(prefix);
  const FileView* manifest = TRY(find_file(files, base + std::string(kManifest)));
  const std::string path =
      TRY(within(std::string(kManifest), root_model_path(as_text(manifest->bytes))));
  return within(path, read_with_weights(files, base + std::string(kData) + path, pool));
}

bool is_model_path(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.ends_with(".mlmodel")) return true;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  const fs::path directory = path.ends_with('/') ? fs::path(path).parent_path() : fs::path(path);
  return directory.extension() == ".mlpackage" || directory.extension() == ".mlmodelc" ||
         fs::exists(directory / kManifest, ignored);
}

Result<FileMap> map_model(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return map_directory(path);
  FileMap files;
  const auto add = [&](std::string_view name, const std::string& from) -> Status {
    auto file = TRY(MappedFile::open(from));
    const Bytes bytes = file->bytes();
    files.emplace(name, FileView{bytes, std::move(file)});
    return {};
  };
  TRY(add(kSpecification, path));
  const fs::path weights = fs::path(path).parent_path() / kWeightFile;
  if (fs::exists(weights, ignored)) TRY(add(kWeightFile, weights.string()));
  return files;
}

Result<Model> read_mapped_model(const FileMap& files, ThreadPool* pool) {
  const std::string specification(kSpecification);
  if (!files.contains(specification)) return read_package(files, "", pool);
  return read_with_weights(files, specification, pool);
}

}  // namespace diptych::coreml
