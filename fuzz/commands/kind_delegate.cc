// Core ML delegates of a .pte: references, metadata.json, the model's protobuf, weights, and the
// names in the file system that holds them.

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"
#include "pte_pieces.h"

namespace diptych::fuzz {

namespace {

constexpr std::string_view kReference = "CMJR";

// A payload that holds a file system, or null.
Payload* draw_file_system(std::vector<Payload>& payloads, Random& random) {
  std::vector<Payload*> found;
  for (Payload& payload : payloads) {
    if (is_file_system(payload)) found.push_back(&payload);
  }
  return found.empty() ? nullptr : random.pick(found);
}

void mutate_reference(std::vector<Payload>& payloads, Random& random) {
  std::vector<Payload*> found;
  for (Payload& payload : payloads) {
    if (payload.bytes.starts_with(kReference)) found.push_back(&payload);
  }
  if (found.empty()) return;
  std::string& bytes = random.pick(found)->bytes;
  std::string json = bytes.substr(kReference.size());
  mutate_json(json, random);
  bytes = kReference;
  bytes += json;
}

void mutate_contents(std::string& bytes, Random& random) {
  std::string root;
  FileList files;
  if (!read_file_system(bytes, &root, &files) || files.empty()) {
    return mutate_bytes(bytes, random);
  }
  auto& [path, contents] = files[random.below(files.size())];
  if (path.ends_with(".json")) {
    mutate_json(contents, random);
  } else if (path.ends_with(".mlmodel")) {
    mutate_protobuf(contents, random);
  } else {
    mutate_bytes(contents, random, random.one_in(2) ? 256 : SIZE_MAX);
  }
  if (random.one_in(20))
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(random.below(files.size())));
  std::string changed = write_file_system(root, files);
  if (!changed.empty()) bytes = std::move(changed);
}

class DelegateKind : public Kind {
 public:
  explicit DelegateKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "delegate"; }

  Files seed(Random& random) const override { return program_files(models_, random); }

  void mutate(Files& files, Random& random) const override {
    std::string& file = files[program_path(files)];
    std::vector<Payload> payloads;
    if (!read_payloads(file, &payloads)) return mutate_bytes(file, random);
    Payload* payload = draw_file_system(payloads, random);
    if (payload == nullptr || random.one_in(6)) {
      mutate_reference(payloads, random);
    } else if (random.one_in(12)) {
      mutate_bytes(payload->bytes, random);
    } else {
      mutate_contents(payload->bytes, random);
    }
    if (!replace_payloads(file, payloads)) mutate_bytes(file, random);
  }

  Command command(const Files& files, Random& random) const override {
    return program_command(program_path(files), random);
  }

 private:
  const Models& models_;
};

// Replaces a name in the index wherever it stands, so that the index stays consistent.
void rename_node(std::string& index, Random& random) {
  constexpr std::string_view kName = R"("name":")";
  std::vector<std::string> names;
  for (size_t at = index.find(kName); at != std::string::npos; at = index.find(kName, at + 1)) {
    const size_t begin = at + kName.size() - 1, end = index.find('"', begin + 1);
    if (end == std::string::npos) return;
    names.push_back(index.substr(begin, end + 1 - begin));
  }
  if (names.empty()) return;
  const std::string from = random.pick(names);
  const std::string to = json_quoted(
      random.one_in(3) ? hostile_text(random).substr(0, 2000) : hostile_path(random), random);
  std::string changed;
  for (size_t at = 0;;) {
    const size_t found = index.find(from, at);
    changed += index.substr(at, found - at);
    if (found == std::string::npos) break;
    changed += to;
    at = found + from.size();
  }
  index = changed;
}

// Gives a blob that methods refer to another key, in the references too.
void rename_key(std::vector<Payload>& payloads, Random& random) {
  std::vector<Payload*> named;
  for (Payload& payload : payloads) {
    if (!payload.key.empty() && is_file_system(payload)) named.push_back(&payload);
  }
  if (named.empty()) return;
  Payload& blob = *random.pick(named);
  const std::string from = "\"" + blob.key + "\"";
  blob.key = random.one_in(2) ? hostile_path(random) : hostile_text(random);
  const std::string to = json_quoted(blob.key, random);
  for (Payload& payload : payloads) {
    if (!payload.bytes.starts_with(kReference)) continue;
    const size_t at = payload.bytes.find(from);
    if (at != std::string::npos) payload.bytes.replace(at, from.size(), to);
  }
}

class MemoryFsKind : public Kind {
 public:
  explicit MemoryFsKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "memory_fs"; }

  Files seed(Random& random) const override { return program_files(models_, random); }

  void mutate(Files& files, Random& random) const override {
    std::string& file = files[program_path(files)];
    std::vector<Payload> payloads;
    if (!read_payloads(file, &payloads)) return mutate_bytes(file, random);
    Payload* payload = draw_file_system(payloads, random);
    std::string data, index;
    if (random.one_in(4)) {
      rename_key(payloads, random);
    } else if (payload != nullptr && split_index(payload->bytes, &data, &index)) {
      if (random.one_in(2)) {
        rename_node(index, random);
      } else {
        mutate_json(index, random);
      }
      payload->bytes = join_index(data, index);
    }
    if (!replace_payloads(file, payloads)) mutate_bytes(file, random);
  }

  Command command(const Files& files, Random& random) const override {
    const std::string path = program_path(files);
    if (random.one_in(3)) return program_command(path, random);
    Command command;
    command.words = {"extract", path, "-o", "packages"};
    command.outputs = {"packages"};
    return command;
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> delegate_kind(const Models& models) {
  return std::make_unique<DelegateKind>(models);
}
std::unique_ptr<const Kind> memory_fs_kind(const Models& models) {
  return std::make_unique<MemoryFsKind>(models);
}

}  // namespace diptych::fuzz
