#include "pte_pieces.h"

#include <algorithm>

#include "coreml/delegate.h"
#include "coreml/memory_fs.h"
#include "pte/reader.h"
#include "pte/writer.h"

namespace diptych::fuzz {

namespace {

// Delegates' payloads, then named data.
template <class Program, class Visit>
void for_each_payload(Program& program, Visit visit) {
  std::string no_key;
  for (auto& method : program.methods) {
    for (auto& delegate : method.delegates) visit(no_key, delegate.processed);
  }
  for (auto& data : program.named_data) visit(data.key, data.data);
}

}  // namespace

bool read_payloads(const std::string& file, std::vector<Payload>* payloads) {
  const auto program = pte::read(as_bytes(file));
  if (!program) return false;
  for_each_payload(*program, [&](const std::string& key, const pte::Blob& blob) {
    payloads->push_back({key, std::string(as_text(blob.bytes()))});
  });
  return !payloads->empty();
}

bool replace_payloads(std::string& file, const std::vector<Payload>& payloads) {
  auto program = pte::read(as_bytes(file));
  if (!program) return false;
  auto next = payloads.begin();
  for_each_payload(*program, [&](std::string& key, pte::Blob& blob) {
    key = next->key;
    blob = pte::Blob::own(next++->bytes);
  });
  const auto source = pte::write(std::move(*program));
  if (!source) return false;
  const auto bytes = read_all(**source);
  if (!bytes) return false;
  file = as_text(*bytes);
  return true;
}

bool is_file_system(const Payload& payload) {
  return !payload.key.starts_with("diptych.") && !coreml::is_reference(as_bytes(payload.bytes));
}

bool read_file_system(const std::string& bytes, std::string* root, FileList* files) {
  const auto fs = coreml::read_memory_fs(as_bytes(bytes), nullptr);
  if (!fs) return false;
  *root = fs->root_name;
  std::vector<std::pair<const std::byte*, std::string>> order;
  for (const auto& [path, file] : fs->files) order.emplace_back(file.bytes.data(), path);
  std::sort(order.begin(), order.end());
  for (const auto& [data, path] : order) {
    files->emplace_back(path, std::string(as_text(fs->files.find(path)->second.bytes)));
  }
  return true;
}

std::string write_file_system(const std::string& root, const FileList& files) {
  std::vector<coreml::FileEntry> entries;
  for (const auto& [path, bytes] : files) entries.push_back({path, memory_source(bytes)});
  const auto source = coreml::write_memory_fs(root, entries);
  const auto bytes = source ? read_all(**source) : std::vector<std::byte>();
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

bool split_index(const std::string& bytes, std::string* data, std::string* index) {
  // Read from the end, the index is one balanced object; valid names hold no brackets.
  const size_t last = bytes.find_last_not_of('\0');
  if (last == std::string::npos) return false;
  size_t depth = 0;
  for (size_t at = last + 1; at-- > 0;) {
    if (bytes[at] == '{') ++depth;
    if (depth == 0) return false;
    if (bytes[at] == '}' && --depth == 0) {
      *data = bytes.substr(0, at);
      *index = bytes.substr(at, last + 1 - at);
      std::reverse(index->begin(), index->end());
      return true;
    }
  }
  return false;
}

std::string join_index(const std::string& data, std::string index) {
  std::reverse(index.begin(), index.end());
  return data + index;
}

}  // namespace diptych::fuzz
