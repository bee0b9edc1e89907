#include "coreml/rename_method.h"

#include <algorithm>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "base/hash.h"
#include "base/json.h"
#include "coreml/delegate.h"
#include "coreml/memory_fs.h"
#include "coreml/proto.h"

namespace diptych::coreml {

namespace {

constexpr std::string_view kMetadataFile = "metadata.json";
constexpr std::string_view kModelSuffix = ".mlmodel";

// metadata.json under another name and identifier; keys that are not ours stay.
Result<Json> renamed_metadata(std::string_view text, std::string_view from, std::string_view to) {
  TRY(parse_metadata(text));
  Json json = TRY(parse_json(text));
  const auto methods = json.find("methods");
  if (methods == json.end() || !methods->contains(from)) {
    return not_found("there is no method \"{}\"", from);
  }
  if (methods->contains(to)) return invalid_argument("there is a method \"{}\" already", to);
  Json renamed = Json::object();
  for (const auto& [name, names] : methods->items()) renamed[name == from ? to : name] = names;
  *methods = std::move(renamed);

  Hasher hasher;
  hasher.add(json["identifier"].get<std::string>());
  hasher.add(from);
  hasher.add(to);
  json["identifier"] = "executorch_" + uuid_from(hasher.digest());
  return json;
}

// Copies a message; `replace` may give other bytes for a length-delimited field.
template <class Replace>
std::string edited(std::string_view message, Replace replace) {
  std::string out;
  protozero::pbf_writer writer(out);
  protozero::pbf_reader reader(protozero::data_view(message.data(), message.size()));
  const char* begin = message.data();
  while (reader.next()) {
    const bool is_bytes = reader.wire_type() == protozero::pbf_wire_type::length_delimited;
    const uint32_t field = reader.tag();
    std::optional<std::string> replaced;
    if (is_bytes) {
      const protozero::data_view view = reader.get_view();
      replaced = replace(field, std::string_view(view.data(), view.size()));
    } else {
      reader.skip();
    }
    const char* const end = message.data() + (message.size() - reader.length());
    if (replaced) {
      writer.add_bytes(field, *replaced);
    } else {
      out.append(begin, end);
    }
    begin = end;
  }
  return out;
}

// Renames a function wherever a .mlmodel names it.
class FunctionRenamer {
 public:
  FunctionRenamer(std::string_view from, std::string_view to) : from_(from), to_(to) {}

  // Fails by a protozero::exception on bytes that are no message.
  std::string rename(std::string_view model) {
    return edited(model, [&](uint32_t field, std::string_view bytes) -> Replaced {
      if (field == proto::Model::kDescription) return description(bytes);
      if (field == proto::Model::kMlProgram) return program(bytes);
      return std::nullopt;
    });
  }
  bool found() const { return found_; }
  bool taken() const { return taken_; }

 private:
  using Replaced = std::optional<std::string>;

  std::string description(std::string_view message) {
    return edited(message, [&](uint32_t field, std::string_view bytes) -> Replaced {
      if (field == proto::ModelDescription::kDefaultFunctionName) return name(bytes);
      if (field != proto::ModelDescription::kFunctions) return std::nullopt;
      return edited(bytes, [&](uint32_t inner, std::string_view text) -> Replaced {
        return inner == proto::FunctionDescription::kName ? name(text) : std::nullopt;
      });
    });
  }
  std::string program(std::string_view message) {
    return edited(message, [&](uint32_t field, std::string_view entry) -> Replaced {
      if (field != proto::Program::kFunctions) return std::nullopt;
      return edited(entry, [&](uint32_t inner, std::string_view text) -> Replaced {
        if (inner != proto::kKey) return std::nullopt;
        found_ = found_ || text == from_;
        taken_ = taken_ || text == to_;
        return name(text);
      });
    });
  }
  Replaced name(std::string_view text) const {
    return text == from_ ? Replaced(std::string(to_)) : std::nullopt;
  }

  std::string_view from_, to_;
  bool found_ = false, taken_ = false;
};

}  // namespace

Result<RenamedBlob> rename_method(Bytes blob, std::shared_ptr<const void> owner,
                                  std::string_view from, std::string_view to) {
  const MemoryFs fs = TRY(within("delegate payload", read_memory_fs(blob, std::move(owner))));
  // In the order of their data, so that what is aligned stays aligned.
  std::vector<std::pair<std::string, FileView>> files(fs.files.begin(), fs.files.end());
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a.second.bytes.data() < b.second.bytes.data();
  });
  uint64_t total = 0;  // no overflow: each is at most the blob's size, and there are few
  for (const auto& [path, view] : files) total += view.bytes.size();
  if (total > blob.size()) return invalid_data("delegate payload: files overlap");
  RenamedBlob result;
  std::vector<FileEntry> entries;
  for (const auto& [path, view] : files) {
    const std::string_view text = as_text(view.bytes);
    if (path == kMetadataFile) {
      const Json metadata = TRY(within(path, renamed_metadata(text, from, to)));
      result.key = "coreml_" + metadata["identifier"].get<std::string>();
      entries.push_back({path, memory_source(dump_json(metadata))});
    } else if (std::string_view(path).ends_with(kModelSuffix)) {
      FunctionRenamer renamer(from, to);
      std::string model;
      try {
        model = renamer.rename(text);
      } catch (const protozero::exception& error) {
        return within<RenamedBlob>(path, invalid_data("no protobuf message: {}", error.what()));
      }
      if (renamer.found() && renamer.taken()) {
        return within<RenamedBlob>(path,
                                   invalid_argument("there is a function \"{}\" already", to));
      }
      result.renamed_function = result.renamed_function || renamer.found();
      entries.push_back({path, memory_source(model)});
    } else {
      entries.push_back({path, view_source(view)});
    }
  }
  if (result.key.empty()) return invalid_data("the delegate has no {}", kMetadataFile);
  result.blob = TRY(write_memory_fs(fs.root_name, entries));
  return result;
}

Result<bool> lists_methods(Bytes blob) {
  const MemoryFs fs = TRY(within("delegate payload", read_memory_fs(blob, nullptr)));
  const auto metadata = fs.files.find(kMetadataFile);
  if (metadata == fs.files.end()) return invalid_data("the delegate has no {}", kMetadataFile);
  return TRY(within(kMetadataFile, parse_metadata(as_text(metadata->second.bytes))))
      .is_multifunction();
}

}  // namespace diptych::coreml
