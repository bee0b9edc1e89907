#include "generate/model.h"

#include <algorithm>

#include "runtime/coreml_payload.h"
#include "tensor/weight.h"

namespace diptych::generate {

namespace {

using Signature = runtime::Program::Signature;

// Reads the convention off one method's signature:
//   tokens i32[1,T], mask [1,T,C+T], cos [T,w], sin [T,w], L x keys [1,K,C,d], L x values
//   [1,K,C,d], optional last position i64[1]  ->  logits, L x new keys [1,K,T,d], L x new values
//   [1,K,T,d].
class SignatureReader {
 public:
  SignatureReader(const std::string& method, const Signature& signature) : signature_(signature) {
    function_.method = method;
  }

  Result<FunctionDescription> read(ModelDescription& model) {
    TRY(read_inputs(model));
    TRY(read_outputs(model));
    return function_;
  }

 private:
  const TensorType& input(size_t index) const { return signature_.inputs[index]; }

  tl::unexpected<Error> broken(std::string_view expected) const {
    Error error{ErrorCode::Unsupported,
                "method " + function_.method,
                fmt::format("not a static-attention Llama: expected {}; its inputs are", expected),
                {}};
    for (const TensorType& type : signature_.inputs) error.items.push_back(to_string(type));
    return tl::unexpected(std::move(error));
  }

  Status read_inputs(ModelDescription& model) {
    std::vector<size_t> caches, tables;
    bool has_tokens = false, has_mask = false;
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      const TensorType& type = input(i);
      const bool is_integer_input = type.dtype == DType::Int32 || type.dtype == DType::Int64;
      if (is_integer_input && type.rank() == 2 && type.shape[0] == 1 && !has_tokens) {
        has_tokens = true;
        function_.tokens_input = i;
        function_.tokens = type.shape[1];
      } else if (is_integer_input && type.rank() == 1 && type.shape[0] == 1) {
        function_.last_position_input = i;
      } else if (is_float(type.dtype) && type.rank() == 3 && !has_mask) {
        has_mask = true;
        function_.mask_input = i;
      } else if (is_float(type.dtype) && type.rank() == 2) {
        tables.push_back(i);
      } else if (is_float(type.dtype) && type.rank() == 4) {
        caches.push_back(i);
      } else {
        return broken(fmt::format("no input such as number {}", i));
      }
    }
    if (!has_tokens || !has_mask) return broken("tokens int32[1,T] and a mask [1,T,C+T]");
    if (input(function_.tokens_input).dtype != DType::Int32) return broken("tokens of int32");
    if (function_.last_position_input &&
        input(*function_.last_position_input).dtype != DType::Int64) {
      return broken("a last position of int64");
    }
    if (tables.size() != 2 || input(tables[0]) != input(tables[1]) ||
        input(tables[0]).shape[0] != function_.tokens) {
      return broken("two RoPE inputs [T,w] of one type");
    }
    function_.cos_input = tables[0];
    function_.sin_input = tables[1];
    if (caches.empty() || caches.size() % 2 != 0) {
      return broken("as many key caches as value caches [1,kv_heads,C,head_dim]");
    }
    const TensorType cache = input(caches[0]);
    for (const size_t index : caches) {
      if (input(index) != cache) return broken("caches of one type");
    }
    const auto layers = caches.size() / 2;
    function_.key_inputs.assign(caches.begin(), caches.begin() + static_cast<long>(layers));
    function_.value_inputs.assign(caches.begin() + static_cast<long>(layers), caches.end());
    function_.cache_len = cache.shape[2];
    const Shape mask = {1, function_.tokens, function_.cache_len + function_.tokens};
    if (cache.shape[0] != 1 || input(function_.mask_input).shape != mask) {
      return broken("a mask [1,T,C+T] that fits the caches [1,kv_heads,C,head_dim]");
    }
    if (cache.dtype != DType::F16 && cache.dtype != DType::F32)
      return broken("fp16 or fp32 caches");
    if (input(function_.mask_input).dtype != cache.dtype ||
        input(function_.cos_input).dtype != cache.dtype) {
      return broken("mask, RoPE rows and caches of one dtype");
    }
    model.layers = static_cast<int64_t>(layers);
    model.kv_heads = cache.shape[1];
    model.head_dim = cache.shape[3];
    model.dtype = cache.dtype;
    model.rope_width = input(function_.cos_input).shape[1];
    return {};
  }

  Status read_outputs(ModelDescription& model) {
    const auto layers = static_cast<size_t>(model.layers);
    if (signature_.outputs.size() != 1 + 2 * layers) {
      return broken(fmt::format("{} outputs, found {}", 1 + 2 * layers, signature_.outputs.size()));
    }
    const TensorType cache = {model.dtype, {1, model.kv_heads, function_.tokens, model.head_dim}};
    for (size_t layer = 0; layer < layers; ++layer) {
      function_.key_outputs.push_back(1 + layer);
      function_.value_outputs.push_back(1 + layers + layer);
    }
    for (size_t i = 1; i < signature_.outputs.size(); ++i) {
      if (signature_.outputs[i] != cache)
        return broken(fmt::format("output {} of {}", i, to_string(cache)));
    }
    const TensorType& logits = signature_.outputs[0];
    if (logits.dtype != model.dtype || (logits.rank() != 2 && logits.rank() != 3) ||
        logits.shape[0] != 1) {
      return broken("logits [1,V], [1,1,V] or [1,T,V]");
    }
    model.vocab_size = logits.shape.back();
    const int64_t rows = logits.rank() == 3 ? logits.shape[1] : 1;
    if (rows != 1 && rows != function_.tokens) return broken("logits of one or all positions");
    // With T = 1 both are the same.
    function_.full_logits = rows == function_.tokens && !function_.last_position_input;
    if (!function_.full_logits && !function_.last_position_input && function_.tokens != 1) {
      return broken("last_valid_token_pos where logits are of one position");
    }
    return {};
  }

  const Signature& signature_;
  FunctionDescription function_;
};

Status read_rope_tables(const runtime::Program& program, ModelDescription& model) {
  const auto cos = TRY(program.constant_tensor("freqs_cos"));
  const auto sin = TRY(program.constant_tensor("freqs_sin"));
  if (cos.type != sin.type || !is_float(cos.type.dtype) || cos.type.rank() != 2 ||
      cos.type.shape[1] != model.rope_width || cos.type.shape[0] < 1) {
    return invalid_data("freqs_cos {} and freqs_sin {}: expected two tables [max_context,{}]",
                        to_string(cos.type), to_string(sin.type), model.rope_width);
  }
  model.max_context = cos.type.shape[0];
  const auto read_table = [&](const pte::ConstantTensor& table) -> Result<std::vector<std::byte>> {
    const WeightRef weight = TRY(mapped_weight(table.type, table.bytes, nullptr));
    return read_all(*packed_source(cast(weight, model.dtype)));
  };
  model.cos_table = TRY(read_table(cos));
  model.sin_table = TRY(read_table(sin));
  return {};
}

// What the metadata methods say must agree with the signature where both speak.
Status check_metadata(const runtime::Program& program, const ModelDescription& model) {
  const auto expect = [&](const char* method, int64_t found) -> Status {
    if (!program.has_constant(method)) return {};
    const int64_t said = TRY(program.constant_int(method));
    if (said == found) return {};
    return invalid_data("metadata method {} says {}, the signature says {}", method, said, found);
  };
  TRY(expect("vocab_size", model.vocab_size));
  TRY(expect("head_dim", model.head_dim));
  TRY(expect("n_heads_per_cache", model.kv_heads));
  return {};
}

}  // namespace

Result<ModelDescription> describe(const runtime::Program& program) {
  TRY(runtime::check_has_coreml(program.container()));
  ModelDescription model;
  for (const char* method : {"prefill", "forward", "decode"}) {
    if (!program.has_method(method)) continue;
    const Signature signature = TRY(program.signature(method));
    ModelDescription seen;
    FunctionDescription function = TRY(SignatureReader(method, signature).read(seen));
    seen.functions = std::move(model.functions);
    if (!seen.functions.empty()) {
      const FunctionDescription& first = seen.functions.front();
      if (seen.layers != model.layers || seen.kv_heads != model.kv_heads ||
          seen.head_dim != model.head_dim || seen.vocab_size != model.vocab_size ||
          seen.dtype != model.dtype || function.cache_len != first.cache_len) {
        return unsupported("methods {} and {} do not share one cache format", first.method, method);
      }
    }
    seen.functions.push_back(std::move(function));
    model = std::move(seen);
  }
  if (model.functions.empty()) {
    Error error{ErrorCode::Unsupported,
                {},
                "no method named forward, prefill or decode; its methods are",
                program.method_names()};
    return tl::unexpected(std::move(error));
  }
  std::stable_sort(model.functions.begin(), model.functions.end(),
                   [](const auto& a, const auto& b) { return a.tokens > b.tokens; });
  TRY(read_rope_tables(program, model));
  TRY(check_metadata(program, model));
  return model;
}

}  // namespace diptych::generate
