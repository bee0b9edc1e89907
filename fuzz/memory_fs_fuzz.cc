// Feeds arbitrary bytes to the reader of the file system blob; what it accepts must be writable and
// readable again.

#include <cstdlib>

#include "coreml/memory_fs.h"
#include "seeds.h"

using namespace diptych;
using namespace diptych::coreml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fs = read_memory_fs({reinterpret_cast<const std::byte*>(data), size}, nullptr);
  if (!fs) return 0;
  std::vector<FileEntry> files;
  uint64_t total = 0;
  for (const auto& [path, view] : fs->files) {
    files.push_back({path, view_source(view)});
    total += view.bytes.size();
  }
  if (total > 1 << 20) return 0;  // regions may overlap, so this can be large
  const auto blob = write_memory_fs(fs->root_name, files);
  if (!blob) std::abort();
  const auto bytes = read_all(**blob);
  const auto again = read_memory_fs(*bytes, nullptr);
  if (!again || again->files.size() != files.size()) std::abort();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const auto blob = write_memory_fs("root", {{"weights/weight.bin", memory_source("0123456789")},
                                             {"a/b/model", memory_source("model")},
                                             {"empty", memory_source("")}});
  return {*read_all(**blob)};
}
