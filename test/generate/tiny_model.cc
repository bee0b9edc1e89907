#include "tiny_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "contract/constants.h"
#include "contract/signature.h"
#include "exporter/assemble.h"
#include "llama/static_model.h"
#include "mil/text.h"
#include "passes/cut_at_breaks.h"
#include "passes/merge_functions.h"
#include "pte/writer.h"

namespace diptych::generate {
namespace {

// Entry v of the logits is of each layer sum * (v * (5 + layer) mod 7) + squares * (v * (3 + layer)
// mod 5), and 3 * position * (v mod 4): whole numbers, which fp32 has exactly.
int64_t by_sum(int64_t v, size_t layer) { return v * (5 + static_cast<int64_t>(layer)) % 7; }
int64_t by_squares(int64_t v, size_t layer) { return v * (3 + static_cast<int64_t>(layer)) % 5; }
int64_t by_position(int64_t v) { return v % 4; }

template <class Factor>
std::string row(Factor factor) {
  std::string text;
  for (int64_t v = 0; v < kTinyVocab; ++v)
    text += fmt::format("{}{}", v == 0 ? "" : ",", factor(v));
  return fmt::format("fp32[1,1,{}]({})", kTinyVocab, text);
}

// `visible` is 1 where a row sees a column and 0 elsewhere, so that a product with the keys adds up
// those of the tokens that the row sees. All layers have the same new keys and values.
std::string text_of(const contract::Method& method, const contract::Model& model, bool broken) {
  const int64_t t = method.tokens;
  std::string text = fmt::format("func @{}(%tokens: int32[1,{}]", method.name, t);
  for (size_t i = 0; i < model.classes.size(); ++i) {
    text += fmt::format(", %mask{}: fp32[1,{},{}]", i, t, model.classes[i].cache_len + t);
  }
  text += fmt::format(", %cos: fp32[{},1], %sin: fp32[{},1]", t, t);
  for (const char* kind : {"k", "v"}) {
    for (size_t i = 0; i < model.layers(); ++i) {
      text += fmt::format(", %{}{}: fp32[1,1,{},1]", kind, i, model.class_of(i).cache_len);
    }
  }
  text +=
      method.all_logits ? ") opset \"CoreML8\" {\n" : ", %last: int32[1]) opset \"CoreML8\" {\n";
  const auto add = [&]<class... Args>(fmt::format_string<Args...> line, Args&&... args) {
    text += "  " + fmt::format(line, std::forward<Args>(args)...) + "\n";
  };
  const auto add_logits = [&](const std::string& name, const std::string& x, const std::string& y) {
    add("%{}: fp32[1,{},{}] = {}", name, t, kTinyVocab, fmt::format("{}, y={})", x, y));
  };
  add("%id: fp32[1,{}] = cast(x=%tokens, dtype=\"fp32\")", t);
  for (size_t i = 0; i < model.classes.size(); ++i) {
    const int64_t s = model.classes[i].cache_len + t;
    add("%seen{}: bool[1,{},{}] = greater_equal(x=%mask{}, y=fp32(-1))", i, t, s, i);
    add("%visible{}: fp32[1,{},{}] = cast(x=%seen{}, dtype=\"fp32\")", i, t, s, i);
  }
  // The tables hold p and 2p.
  add("%rope: fp32[{},1] = add(x=%cos, y=%sin)", t);
  add("%position: fp32[1,{},1] = reshape(x=%rope, shape=int32[3](1,{},1))", t, t);
  add_logits("logits_p", "mul(x=%position", row(by_position));
  std::string logits = "logits_p";
  if (broken) {
    logits = "logits_0";
    add("%logits_0: fp32[1,{},{}] = diptych.graph_break(values=[%logits_p])", t, kTinyVocab);
  }
  for (size_t i = 0; i < model.layers(); ++i) {
    const int64_t s = model.class_of(i).cache_len + t;
    add("%nk{}: fp32[1,1,{},1] = reshape(x=%id, shape=int32[4](1,1,{},1))", i, t, t);
    add("%nv{}: fp32[1,1,{},1] = mul(x=%nk{}, y=%nk{})", i, t, i, i);
    for (const char* kind : {"k", "v"}) {
      const std::string at = fmt::format("{}{}", kind, i);
      add("%all_{}: fp32[1,1,{},1] = concat(values=[%{}, %n{}], axis=int32(-2), "
          "interleave=bool(false))",
          at, s, at, at);
      add("%row_{}: fp32[1,{},1] = reshape(x=%all_{}, shape=int32[3](1,{},1))", at, s, at, s);
      add("%sum_{}: fp32[1,{},1] = matmul(x=%visible{}, y=%row_{}, transpose_x=bool(false), "
          "transpose_y=bool(false))",
          at, t, model.class_of_layer[i], at);
      const bool keys = *kind == 'k';
      add_logits("part_" + at, "mul(x=%sum_" + at,
                 row([&](int64_t v) { return keys ? by_sum(v, i) : by_squares(v, i); }));
      const bool last = i + 1 == model.layers() && !keys;
      std::string sum = last && method.all_logits ? "logits" : "logits_" + at;
      add_logits(sum, "add(x=%" + logits, "%part_" + at);
      logits = std::move(sum);
    }
  }
  if (!method.all_logits) {
    add("%logits: fp32[1,1,{}] = gather(x=%{}, indices=%last, axis=int32(1), "
        "batch_dims=int32(0), validate_indices=bool(false))",
        kTinyVocab, logits);
  }
  text += "  return %logits";
  for (const char* kind : {"nk", "nv"}) {
    for (size_t i = 0; i < model.layers(); ++i) text += fmt::format(", %{}{}", kind, i);
  }
  return text + "\n}\n";
}

WeightRef positions(double factor) {
  std::vector<double> values;
  for (int64_t p = 0; p < kTinyContext; ++p) values.push_back(factor * static_cast<double>(p));
  return constant_floats(DType::F32, {kTinyContext, 1}, values);
}

}  // namespace

std::vector<float> tiny_logits(const std::vector<int64_t>& tokens, const TinyWindows& windows) {
  const auto count = static_cast<int64_t>(tokens.size());
  std::vector<int64_t> logits;
  for (int64_t v = 0; v < kTinyVocab; ++v) logits.push_back(3 * (count - 1) * by_position(v));
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    const int64_t seen = std::min(count, windows[layer].value_or(count));
    int64_t sum = 0, squares = 0;
    for (auto token = tokens.end() - seen; token != tokens.end(); ++token) {
      sum += *token;
      squares += *token * *token;
    }
    for (int64_t v = 0; v < kTinyVocab; ++v) {
      logits[static_cast<size_t>(v)] += sum * by_sum(v, layer) + squares * by_squares(v, layer);
    }
  }
  return {logits.begin(), logits.end()};
}

Result<std::shared_ptr<runtime::Program>> tiny_program(const std::vector<contract::Method>& methods,
                                                       int64_t cache_len,
                                                       const TinyWindows& windows,
                                                       std::string_view broken) {
  llama::Params params;
  params.n_layers = static_cast<int64_t>(windows.size());
  for (const std::optional<int64_t> window : windows) params.layers.push_back({window, 0});
  contract::Model model = llama::static_model(params, cache_len, DType::F32);
  model.vocab_size = kTinyVocab;
  model.kv_heads = model.head_dim = model.rope_width = 1;
  std::string text;
  for (const contract::Method& method : methods) {
    text += text_of(method, model, method.name == broken);
  }
  mil::Program program = TRY(mil::parse(text));
  std::vector<exporter::AssembledMethod> assembled;
  std::vector<passes::CutMethod> cuts;
  for (size_t i = 0; i < methods.size(); ++i) {
    assembled.push_back({methods[i], TRY(contract::signature(model, methods[i]))});
    cuts.push_back(TRY(passes::cut_at_breaks(*program.functions[i])));
  }
  exporter::Options options;
  options.dtype = DType::F32;
  options.multifunction = methods.size() > 1;
  if (!broken.empty()) options.sharing = passes::WeightSharing::OnePackage;
  std::vector<passes::Package> packages = TRY(passes::merge_functions(cuts, options.sharing));
  const contract::RopeTables tables{positions(1), positions(2)};
  DigestCache digests;
  pte::Program container = TRY(exporter::assemble(
      model, assembled, cuts, std::move(packages),
      contract::constant_methods(model, methods, {&tables, 1}), options, digests));
  const auto bytes = std::make_shared<const std::vector<std::byte>>(
      TRY(read_all(*TRY(pte::write(std::move(container))))));
  return runtime::Program::from_bytes(*bytes, bytes, "tiny", {});
}

}  // namespace diptych::generate
