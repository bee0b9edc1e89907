// Decodes a program: its functions with their operations. Private to src/coreml.
#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "coreml/proto_fields.h"

namespace diptych::coreml::proto {

// The entries of a program's map of functions, which make up nearly all of a model file. They are
// read side by side on the threads of `pool`, if there is one.
class FunctionEntries {
 public:
  explicit FunctionEntries(ThreadPool* pool) : pool_(pool) {}

  // Reads `entry` into `functions`, at the latest when read_all() is called.
  void add(pbf_reader entry, Map<Function>& functions);
  // Throws the first entry's exception.
  void read_all(Map<Function>& functions);

 private:
  // At a time, so that little is kept of entries that are replaced by later ones.
  static constexpr size_t kMaxEntries = 64;

  ThreadPool* pool_;
  std::vector<pbf_reader> entries_;
};

// Adds what a message says to `out`, but for the functions that `functions` still holds. Throws
// protozero::exception where it is no message.
void read(pbf_reader in, Program& out, FunctionEntries& functions);

}  // namespace diptych::coreml::proto
