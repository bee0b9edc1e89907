// Recipes: named choices of formats and algorithms. A new one is a row in recipe.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "exporter/options.h"

namespace diptych::exporter {

struct Recipe {
  std::string_view name;  // "balanced"
  // Bits a weight, what it is good for and what it costs, in a line.
  std::string_view help;
  std::optional<quant::Format> linear, embedding;  // none: unquantised
  quant::Algorithm algorithm = quant::Algorithm::Rtn;
  // Bits that a weight of the linears has on average. The most sensitive linears get more than
  // `linear`'s, as far as these go. 0: all have that format.
  double bits = 0;
  // A tied head is the embedding's quantised form and shares its bytes.
  bool share_head = false;
  // Weights are rotated, where the model can be (exporter/rotations.h).
  bool rotate = false;
};
std::span<const Recipe> recipes();

// What a model folder or a GGUF is exported by when nobody says how.
inline constexpr std::string_view kDefaultRecipe = "balanced";
// What upstream's exporter does.
inline constexpr std::string_view kUpstreamRecipe = "upstream";

// By Recipe::name; an unknown one is an error that lists the known.
Result<const Recipe*> recipe_from_name(std::string_view name);

// Sets the options that a recipe is about, and no others.
void apply(const Recipe& recipe, Options& options);

}  // namespace diptych::exporter
