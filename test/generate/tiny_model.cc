#include "tiny_model.h"

#include <fmt/format.h>

#include "contract/constants.h"
#include "contract/signature.h"
#include "exporter/assemble.h"
#include "mil/text.h"
#include "passes/cut_at_breaks.h"
#include "passes/merge_functions.h"
#include "pte/writer.h"

namespace diptych::generate {
namespace {

// Entry v of the logits is sum * (v * 5 mod 7) + squares * (v * 3 mod 5) + 3 * position *
// (v mod 4): whole numbers, which fp32 has exactly.
int64_t by_sum(int64_t v) { return v * 5 % 7; }
int64_t by_squares(int64_t v) { return v * 3 % 5; }
int64_t by_position(int64_t v) { return v % 4; }

std::string row(int64_t (*factor)(int64_t)) {
  std::string text;
  for (int64_t v = 0; v < kTinyVocab; ++v)
    text += fmt::format("{}{}", v == 0 ? "" : ",", factor(v));
  return fmt::format("fp32[1,1,{}]({})", kTinyVocab, text);
}

// `visible` is 1 where a row sees a column and 0 elsewhere, so that a product with the keys adds up
// those of the tokens that the row sees.
std::string text_of(const contract::Method& method, int64_t cache_len) {
  const int64_t t = method.tokens, s = cache_len + t;
  std::string text = fmt::format(
      "func @{}(%tokens: int32[1,{t}], %mask: fp32[1,{t},{s}], %cos: fp32[{t},1], "
      "%sin: fp32[{t},1], %k: fp32[1,1,{c},1], %v: fp32[1,1,{c},1]{last}) opset \"CoreML8\" {{\n",
      method.name, fmt::arg("t", t), fmt::arg("s", s), fmt::arg("c", cache_len),
      fmt::arg("last", method.all_logits ? "" : ", %last: int32[1]"));
  const auto add = [&]<class... Args>(fmt::format_string<Args...> line, Args&&... args) {
    text += "  " + fmt::format(line, std::forward<Args>(args)...) + "\n";
  };
  add("%id: fp32[1,{}] = cast(x=%tokens, dtype=\"fp32\")", t);
  add("%nk: fp32[1,1,{},1] = reshape(x=%id, shape=int32[4](1,1,{},1))", t, t);
  add("%nv: fp32[1,1,{},1] = mul(x=%nk, y=%nk)", t);
  add("%seen: bool[1,{},{}] = greater_equal(x=%mask, y=fp32(-1))", t, s);
  add("%visible: fp32[1,{},{}] = cast(x=%seen, dtype=\"fp32\")", t, s);
  for (const char* kind : {"k", "v"}) {
    add("%all_{}: fp32[1,1,{},1] = concat(values=[%{}, %n{}], axis=int32(-2), "
        "interleave=bool(false))",
        kind, s, kind, kind);
    add("%row_{}: fp32[1,{},1] = reshape(x=%all_{}, shape=int32[3](1,{},1))", kind, s, kind, s);
    add("%sum_{}: fp32[1,{},1] = matmul(x=%visible, y=%row_{}, transpose_x=bool(false), "
        "transpose_y=bool(false))",
        kind, t, kind);
  }
  // The tables hold p and 2p.
  add("%rope: fp32[{},1] = add(x=%cos, y=%sin)", t);
  add("%position: fp32[1,{},1] = reshape(x=%rope, shape=int32[3](1,{},1))", t, t);
  add("%l1: fp32[1,{},{}] = mul(x=%sum_k, y={})", t, kTinyVocab, row(by_sum));
  add("%l2: fp32[1,{},{}] = mul(x=%sum_v, y={})", t, kTinyVocab, row(by_squares));
  add("%l3: fp32[1,{},{}] = mul(x=%position, y={})", t, kTinyVocab, row(by_position));
  add("%l4: fp32[1,{},{}] = add(x=%l1, y=%l2)", t, kTinyVocab);
  add("%{}: fp32[1,{},{}] = add(x=%l4, y=%l3)", method.all_logits ? "logits" : "l5", t, kTinyVocab);
  if (!method.all_logits) {
    add("%logits: fp32[1,1,{}] = gather(x=%l5, indices=%last, axis=int32(1), "
        "batch_dims=int32(0), validate_indices=bool(false))",
        kTinyVocab);
  }
  add("return %logits, %nk, %nv");
  return text + "}\n";
}

WeightRef positions(double factor) {
  std::vector<double> values;
  for (int64_t p = 0; p < kTinyContext; ++p) values.push_back(factor * static_cast<double>(p));
  return constant_floats(DType::F32, {kTinyContext, 1}, values);
}

}  // namespace

std::vector<float> tiny_logits(const std::vector<int64_t>& tokens) {
  int64_t sum = 0, squares = 0;
  for (const int64_t token : tokens) {
    sum += token;
    squares += token * token;
  }
  const auto position = static_cast<int64_t>(tokens.size()) - 1;
  std::vector<float> logits;
  for (int64_t v = 0; v < kTinyVocab; ++v) {
    logits.push_back(static_cast<float>(sum * by_sum(v) + squares * by_squares(v) +
                                        3 * position * by_position(v)));
  }
  return logits;
}

Result<std::shared_ptr<runtime::Program>> tiny_program(const std::vector<contract::Method>& methods,
                                                       int64_t cache_len) {
  contract::Model model = contract::uniform_model(1, cache_len);
  model.vocab_size = kTinyVocab;
  model.kv_heads = model.head_dim = model.rope_width = 1;
  model.dtype = DType::F32;
  std::string text;
  for (const contract::Method& method : methods) text += text_of(method, cache_len);
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
