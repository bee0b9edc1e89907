// The list of passes and the way to run them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"
#include "passes/quantize_linears.h"
#include "passes/split_linears.h"
#include "quant/cache.h"

namespace diptych::passes {

// Parameters of all passes. Each pass uses its own.
struct PassOptions {
  SplitOptions split;
  std::optional<quant::Quantization> linear = quant::Quantization{quant::kC4w};
  LinearChoices linear_choices;
  quant::Quantization embedding{{8, 0}};
  // What was quantised so far. Passes share it.
  std::shared_ptr<quant::Cache> quantized = std::make_shared<quant::Cache>();
};

// A transformation of a program in place.
struct Pass {
  std::string_view name;
  std::string_view description;  // one line
  Status (*run)(mil::Program& program, const PassOptions& options);
};

// All passes, in the order in which an export runs those it needs. To add one: its header and
// source, a line in pass.cc, a test, a line in docs/passes.md.
std::span<const Pass> all_passes();
// Returns the pass of that name. Errors: an unknown name, with a list of the known ones.
Result<const Pass*> find_pass(std::string_view name);

// Sees the program before the first pass (`done` is null) and after each.
using PassObserver = std::function<void(const Pass* done, const mil::Program& program)>;

// Runs passes in the given order. In builds with assertions the program is verified after each
// pass, so that a pass that breaks it is found at once. Errors name the pass.
Status run_passes(mil::Program& program, std::span<const std::string_view> names,
                  const PassOptions& options, const PassObserver& observe = nullptr);

}  // namespace diptych::passes
