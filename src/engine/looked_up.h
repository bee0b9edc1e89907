// Palettes whose entries were looked up once, as rows of int8: for processors that look entries up
// more slowly than they read what comes of it (kernels::looks_up_in_place()).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "engine/palette.h"
#include "kernels/linear.h"
#include "tensor/weight.h"

namespace diptych::engine {

// Functions that share weights share what was looked up. Callable from any thread.
class LookedUp {
 public:
  // `room`: the most bytes that all rows together may take.
  explicit LookedUp(uint64_t room) : room_(room) {}
  // Room for half of the memory that is available when the first rows are asked for.
  LookedUp() = default;

  struct Rows {
    WeightRef codes;   // Int8 [rows, columns]
    WeightRef scales;  // F32 [rows, 1]

    // For kernels::linear(), which comes to the bits of linear_palette().
    kernels::LinearWeight weight() const;
  };
  // The rows of a palette in the form Int8, made at the first request; nothing when there is no
  // room for them.
  Result<std::optional<Rows>> rows(const Palette& palette);

 private:
  struct Entry {
    PaletteWeight stored;  // keeps the key's address its own
    Rows rows;
  };
  std::mutex mutex_;
  std::optional<uint64_t> room_;                                  // nothing before it is known
  std::map<std::pair<const std::byte*, Digest>, Entry> entries_;  // by indices and tables
};

}  // namespace diptych::engine
