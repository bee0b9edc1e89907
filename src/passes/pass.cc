#include "passes/pass.h"

#include "mil/verify.h"
#include "passes/cut_at_breaks.h"
#include "passes/quantize_embeddings.h"
#include "passes/share_constants.h"

namespace diptych::passes {

namespace {

#ifdef NDEBUG
constexpr bool kVerify = false;
#else
constexpr bool kVerify = true;
#endif

// Cutting in place, for tools that print: partition i of function f becomes function f_i.
Status cut_in_place(mil::Program& program) {
  std::vector<std::unique_ptr<mil::Function>> functions;
  for (const auto& function : program.functions) {
    CutMethod cut = TRY(cut_at_breaks(*function));
    for (size_t i = 0; i < cut.partitions.size(); ++i) {
      functions.push_back(std::move(cut.partitions[i].function));
      functions.back()->name = fmt::format("{}_{}", cut.name, i);
    }
  }
  program.functions = std::move(functions);
  return {};
}

constexpr Pass kPasses[] = {
    {"split-linears", "split linears into pieces of about a given number of outputs",
     [](mil::Program& program, const PassOptions& options) {
       return split_linears(program, options.split);
     }},
    {"quantize-embeddings", "quantise the tables of embeddings",
     [](mil::Program& program, const PassOptions& options) {
       return quantize_embeddings(program, options.embedding, *options.quantized);
     }},
    {"quantize-linears", "quantise the weights of linears",
     [](mil::Program& program, const PassOptions& options) {
       return quantize_linears(program, options.linear, options.linear_choices, *options.quantized);
     }},
    {"share-constants", "make equal small constants one object",
     [](mil::Program& program, const PassOptions&) { return share_constants(program); }},
    {"cut-at-breaks", "cut functions into partitions at their graph breaks",
     [](mil::Program& program, const PassOptions&) { return cut_in_place(program); }},
};

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

Result<const Pass*> find_pass(std::string_view name) {
  std::string known;
  for (const Pass& pass : kPasses) {
    if (pass.name == name) return &pass;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", pass.name);
  }
  return not_found("no pass is named '{}'; there are {}", name, known);
}

Status run_passes(mil::Program& program, std::span<const std::string_view> names,
                  const PassOptions& options, const PassObserver& observe) {
  if (observe) observe(nullptr, program);
  for (const std::string_view name : names) {
    const Pass* pass = TRY(find_pass(name));
    TRY(within(name, pass->run(program, options)));
    if (kVerify) TRY(within(fmt::format("after {}", name), mil::verify(program)));
    if (observe) observe(pass, program);
  }
  return {};
}

}  // namespace diptych::passes
