#include "base/run_files.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>

namespace diptych {

namespace {

struct Output {
  std::string path;
  OutputPlace place;
};

struct Record {
  std::map<FileId, std::string> inputs;  // as errors call them
  std::map<uint64_t, Output> outputs;
  uint64_t last = 0;
};

std::mutex files_mutex;
std::unique_ptr<Record> record;  // of the present run

tl::unexpected<Error> same_file(const std::string& output, const std::string& other) {
  auto error = invalid_argument("the output is the same file as {}; name another output", other);
  return tl::unexpected(std::move(error.value()).within(output));
}

}  // namespace

RunFiles::RunFiles() {
  auto fresh = std::make_unique<Record>();
  const std::pair<int, const char*> streams[] = {{STDIN_FILENO, "standard input"},
                                                 {STDOUT_FILENO, "standard output"},
                                                 {STDERR_FILENO, "standard error"}};
  for (const auto& [fd, name] : streams) {
    struct stat info {};
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) fresh->inputs.emplace(info, name);
  }
  std::lock_guard lock(files_mutex);
  record = std::move(fresh);
}

RunFiles::~RunFiles() {
  std::lock_guard lock(files_mutex);
  record.reset();
}

Status note_input(const std::string& path, FileId id) {
  std::lock_guard lock(files_mutex);
  if (!record) return {};
  std::string name = "the input " + path;
  for (const auto& [number, output] : record->outputs) {
    if (output.place.present == id) return same_file(output.path, name);
  }
  record->inputs.emplace(id, std::move(name));
  return {};
}

Result<OutputClaim> claim_output(const std::string& path, OutputPlace place) {
  std::lock_guard lock(files_mutex);
  OutputClaim claim;
  if (!record) return claim;
  if (place.present) {
    const auto input = record->inputs.find(*place.present);
    if (input != record->inputs.end()) return same_file(path, input->second);
  }
  for (const auto& [number, output] : record->outputs) {
    // Two names of one file are two places that each get a file of their own, but who wrote the one
    // through the other meant one file.
    const bool same_name =
        output.place.directory == place.directory && output.place.name == place.name;
    const bool same_present = place.present && output.place.present == place.present;
    if (same_name || same_present) return same_file(path, "the output " + output.path);
  }
  claim.id_ = ++record->last;
  record->outputs.emplace(claim.id_, Output{path, std::move(place)});
  return claim;
}

void OutputClaim::withdraw() {
  if (id_ == 0) return;
  std::lock_guard lock(files_mutex);
  if (record) record->outputs.erase(id_);
  id_ = 0;
}

}  // namespace diptych
