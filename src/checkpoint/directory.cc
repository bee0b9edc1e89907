#include "checkpoint/directory.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/file.h"
#include "base/in_quotes.h"
#include "base/json_fwd.h"
#include "base/stand_in.h"
#include "checkpoint/model_parallel.h"
#include "checkpoint/safetensors_reader.h"

namespace diptych::checkpoint {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kParams = "params.json";
constexpr std::string_view kSafetensors = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::string_view kFirstPart = "consolidated.00.pth";
constexpr uint64_t kMaxConfigBytes = 1 << 20;
constexpr uint64_t kMaxIndexBytes = 16 << 20;
constexpr size_t kMaxFiles = 4096;  // that a directory is searched for

std::string joined(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / name).string();
}

bool holds(const std::string& directory, std::string_view name) {
  return is_there(joined(directory, name));
}

// Names of files with an ending, sorted.
std::vector<std::string> files_ending(const std::string& directory, std::string_view ending) {
  std::vector<std::string> names;
  std::error_code code;
  fs::directory_iterator entry(directory, code);
  for (; !code && entry != fs::directory_iterator() && names.size() < kMaxFiles;
       entry.increment(code)) {
    std::string name = entry->path().filename().string();
    if (name.ends_with(ending)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<ShardIndex> read_index(const std::string& directory) {
  const std::string path = joined(directory, kIndex);
  return within(path, parse_shard_index(TRY(read_text_file(path, kMaxIndexBytes))));
}

// Tensors of several files as one checkpoint. The index says which file has which.
Result<Checkpoint> open_shards(const std::string& directory, const ShardIndex& index) {
  const std::string index_path = joined(directory, kIndex);
  Error missing{ErrorCode::NotFound, index_path, {}, {}};
  for (const std::string& file : index.files) {
    if (!holds(directory, file)) missing.items.push_back(in_quotes(file));
  }
  if (!missing.items.empty()) {
    missing.message = fmt::format("{} of {} shards are missing; download them as well",
                                  missing.items.size(), index.files.size());
    return tl::unexpected(std::move(missing));
  }
  Checkpoint whole;
  std::vector<std::set<std::string>> expected(index.files.size());
  for (const auto& [tensor, file] : index.tensors) expected[file].insert(tensor);
  Error wrong{
      ErrorCode::InvalidData, index_path, "the index and the shards contradict each other", {}};
  for (size_t i = 0; i < index.files.size(); ++i) {
    Checkpoint shard = TRY(open_file(joined(directory, index.files[i])));
    if (shard.format != Format::Safetensors) {
      return within<Checkpoint>(shard.source, invalid_data("expected a safetensors file"));
    }
    for (NamedWeight& tensor : shard.tensors) {
      if (expected[i].erase(tensor.first) == 0) {
        wrong.items.push_back(fmt::format("{} holds {}, which the index does not place there",
                                          in_quotes(index.files[i]), in_quotes(tensor.first)));
      }
      whole.tensors.push_back(std::move(tensor));
    }
    for (const std::string& tensor : expected[i]) {
      wrong.items.push_back(
          fmt::format("{} lacks {}", in_quotes(index.files[i]), in_quotes(tensor)));
    }
  }
  if (!wrong.items.empty()) return tl::unexpected(std::move(wrong));
  whole.format = Format::Safetensors;
  return whole;
}

Result<Checkpoint> open_hugging_face(const std::string& directory) {
  const bool whole = holds(directory, kSafetensors), indexed = holds(directory, kIndex);
  // A whole file wins, as in transformers, unless it is a shard itself.
  if (whole && indexed) {
    const auto index = read_index(directory);
    if (index && std::count(index->files.begin(), index->files.end(), kSafetensors) > 0) {
      return open_shards(directory, *index);
    }
    Checkpoint checkpoint = TRY(open_file(joined(directory, kSafetensors)));
    checkpoint.notes.push_back(
        fmt::format("{}: not used, for {} beside it is whole; remove the one that is stale",
                    joined(directory, kIndex), kSafetensors));
    return checkpoint;
  }
  if (indexed) return open_shards(directory, TRY(read_index(directory)));
  if (whole) return open_file(joined(directory, kSafetensors));
  const std::vector<std::string> others = files_ending(directory, ".safetensors");
  if (others.size() == 1) return open_file(joined(directory, others.front()));
  if (!others.empty()) {
    Error error{ErrorCode::NotFound, directory,
                fmt::format("shards without their index: no {}", kIndex), others};
    return tl::unexpected(std::move(error));
  }
  return within<Checkpoint>(
      directory, not_found("{} is there, but neither {} nor {}; weights in pytorch_model.bin are "
                           "not read, save the model with safe_serialization",
                           kConfig, kSafetensors, kIndex));
}

Result<Checkpoint> open_parts(const std::vector<std::string>& paths) {
  std::vector<Checkpoint> parts;
  for (const std::string& path : paths) parts.push_back(TRY(open_file(path)));
  return join_parts(std::move(parts));
}

Result<Checkpoint> open_meta(const std::string& directory) {
  std::vector<std::string> parts = files_ending(directory, ".pth");
  std::erase_if(parts, [](const std::string& name) { return !name.starts_with("consolidated."); });
  if (parts.empty()) {
    const std::vector<std::string> others = files_ending(directory, ".pth");
    if (others.size() == 1) return open_file(joined(directory, others.front()));
    return within<Checkpoint>(directory,
                              not_found("{} is there, and {} .pth files; expected {} (and further "
                                        "parts) or a single one",
                                        kParams, others.size(), kFirstPart));
  }
  Error missing{ErrorCode::NotFound, directory, "parts of the model are missing", {}};
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string name = fmt::format("consolidated.{:02}.pth", i);
    if (!std::binary_search(parts.begin(), parts.end(), name)) missing.items.push_back(name);
  }
  if (!missing.items.empty()) return tl::unexpected(std::move(missing));
  return open_parts(parts_of(joined(directory, kFirstPart)));
}

}  // namespace

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts = {path};
  if (fs::path(path).filename() != kFirstPart) return parts;
  const std::string directory = fs::path(path).parent_path().string();
  for (size_t i = 1; i < kMaxFiles; ++i) {
    std::string next = joined(directory, fmt::format("consolidated.{:02}.pth", i));
    if (!is_there(next)) break;
    parts.push_back(std::move(next));
  }
  return parts;
}

Status read_config_beside(Checkpoint* checkpoint, const std::string& directory) {
  if (checkpoint->format == Format::Gguf) return {};
  const std::string path =
      joined(directory, checkpoint->format == Format::Torch ? kParams : kConfig);
  if (!is_there(path)) return {};
  checkpoint->config_source = path;
  checkpoint->config =
      TRY(within(path, parse_shared_json(TRY(read_text_file(path, kMaxConfigBytes)))));
  return {};
}

Result<Checkpoint> open_directory(const std::string& directory, Config config) {
  const auto found = [&]() -> Result<Checkpoint> {
    const bool torch = holds(directory, kParams) && !files_ending(directory, ".pth").empty();
    // Meta's own directories may hold a config.json too.
    if (holds(directory, kConfig) && !(torch && files_ending(directory, ".safetensors").empty())) {
      return open_hugging_face(directory);
    }
    if (holds(directory, kParams)) return open_meta(directory);
    const std::vector<std::string> gguf = files_ending(directory, ".gguf");
    if (gguf.size() == 1) return open_file(joined(directory, gguf.front()));
    if (gguf.size() > 1) {
      Error error{ErrorCode::InvalidArgument, directory, "several GGUF files; name one of them",
                  gguf};
      return tl::unexpected(std::move(error));
    }
    return within<Checkpoint>(
        directory,
        not_found("no model in this directory; expected {} with {} (Hugging Face), {} with {} "
                  "(Meta), or a .gguf file",
                  kConfig, kSafetensors, kParams, kFirstPart));
  };
  Checkpoint checkpoint = TRY(found());
  checkpoint.source = directory;
  if (config == Config::Beside) TRY(read_config_beside(&checkpoint, directory));
  return checkpoint;
}

}  // namespace diptych::checkpoint
