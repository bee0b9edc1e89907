// How a model's makers want its tokens drawn: the sampling keys of a generation_config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace diptych::card {

// Keys that are missing or null say nothing. What they mean is Hugging Face transformers'.
struct GenerationDefaults {
  std::optional<bool> do_sample;             // false: greedy, whatever the others say
  std::optional<double> temperature;         // >= 0
  std::optional<int64_t> top_k;              // >= 0; 0: all
  std::optional<double> top_p;               // 0 … 1
  std::optional<double> min_p;               // 0 … 1
  std::optional<double> repetition_penalty;  // > 0; 1: none

  bool empty() const { return *this == GenerationDefaults{}; }
  bool operator==(const GenerationDefaults&) const = default;
};

// Reads the keys named like the members and passes over all others. What cannot be used (another
// type, a number out of range) is left out and told in `problems`, a line a key that names it.
GenerationDefaults read_generation_defaults(const Json& generation_config,
                                            std::vector<std::string>& problems);

// An object of what is said; reading it gives the same.
Json to_json(const GenerationDefaults& defaults);

}  // namespace diptych::card
