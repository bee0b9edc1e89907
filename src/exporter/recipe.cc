#include "exporter/recipe.h"

#include <algorithm>
#include <array>

namespace diptych::exporter {

namespace {

constexpr quant::Format kRows8{8, 0};

constexpr std::array kRecipes = {
    Recipe{kUpstreamRecipe,
           "4.0 bits a weight, rounded to nearest: upstream's defaults, bit for bit", quant::kC4w,
           kRows8, quant::Algorithm::Rtn, 0, false},
    Recipe{"small", "4.3 bits: the smallest that talks sense", quant::kC4w, kRows8,
           quant::Algorithm::Gptq, 4.3, true, true},
    Recipe{"balanced", "5.0 bits: close to the unquantised model at a third of its bytes",
           quant::kB4w, kRows8, quant::Algorithm::Gptq, 5.0, true},
    Recipe{"best", "6.9 bits: hard to tell from the unquantised model", quant::kB4w, kRows8,
           quant::Algorithm::Gptq, 6.9, true},
    Recipe{"none", "16 bits: the weights as they are", std::nullopt, std::nullopt,
           quant::Algorithm::Rtn, 0, true},
};

}  // namespace

std::span<const Recipe> recipes() { return kRecipes; }

Result<const Recipe*> recipe_from_name(std::string_view name) {
  const auto found = std::find_if(kRecipes.begin(), kRecipes.end(),
                                  [&](const Recipe& recipe) { return recipe.name == name; });
  if (found != kRecipes.end()) return &*found;
  std::string known;
  for (const Recipe& recipe : kRecipes) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", recipe.name);
  }
  return invalid_argument("expected one of {}, found \"{}\"", known, name);
}

void apply(const Recipe& recipe, Options& options) {
  options.recipe = recipe.name;
  options.linear = recipe.linear;
  options.groups_where_they_fit = true;
  options.embedding = recipe.embedding;
  options.quantization.algorithm = recipe.algorithm;
  options.quantization.bits = recipe.bits;
  options.share_head = recipe.share_head;
  options.rotations.reset();
  if (!recipe.rotate) options.rotations.emplace();
}

}  // namespace diptych::exporter
