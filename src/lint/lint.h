// What is known to keep a Core ML program off the Neural Engine, or to be slow or unsafe there.
//
// Apple documents no limits of Core ML: the rules are rules of thumb, each with its source, and
// what they find is advice. They look at programs alone, so that a file that is there and an export
// that is only planned are judged by the same table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mil/ir.h"

namespace diptych::lint {

// What a finding may lead to.
enum class Harm : uint8_t {
  Refused,  // Core ML or the Neural Engine's compiler do not take it
  Leaves,   // computed elsewhere, with transfers there and back
  Slow,     // runs, but not as fast as it could, or takes more memory
  Unsafe,   // numbers may be wrong
};
std::string_view name(Harm harm);

// What an export can do about it. Front ends have the words for their options.
enum class Remedy : uint8_t {
  None,
  HalfPrecision,    // the element type fp16
  FiniteMask,       // masks that hide by a finite number
  SafeNorm,         // norms whose squares stay within fp16
  SplitLinears,     // more pieces of a linear
  ShorterInput,     // fewer tokens in a call
  GraphBreaks,      // partitions of their own for embedding and head
  SeveralMethods,   // methods of which only one position's logits come out
  FewerBits,        // weights in fewer bits
  WholeRowFormats,  // formats whose scales are of whole rows, or palettes
};

struct Package {
  std::string name;  // for people: "package 1"
  const mil::Program* program = nullptr;
  uint64_t weight_bytes = 0;  // stored, each weight once
};

struct Subject {
  std::vector<Package> packages;
  // What a language model's runner puts into masks where a token does not see; nothing: not known.
  std::optional<float> hidden;
  // Whether constants of more than a few elements are read; not those of an export that is planned
  // from headers alone.
  bool read_constants = true;
};

// One rule. The table of all is rules().
struct Rule {
  std::string_view id;  // "rank"
  Harm harm = Harm::Slow;
  std::string_view says;  // one sentence
  std::string_view source;
  Remedy remedy = Remedy::None;
};
std::span<const Rule* const> rules();

// What a rule found in a function, or in the whole subject.
struct Finding {
  const Rule* rule = nullptr;
  std::string place;  // "package 1, function prefill"; of the whole subject nothing
  // The first operation or value that broke the rule ("reshape 'x'"), and the layer that the names
  // of weights near it tell.
  std::string first;
  std::optional<int64_t> layer;
  uint64_t count = 0;  // of operations or values
  uint64_t bytes = 0;  // that they take, by this rule's measure; 0: it has none
  std::string detail;  // of the first: "rank 6, fp16[1,2,3,4,5,6]"
};

// By place, in the order of the table. Never fails: what a rule does not understand, it passes
// over.
std::vector<Finding> lint(const Subject& subject);

}  // namespace diptych::lint
