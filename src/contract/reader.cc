#include "contract/reader.h"

#include <algorithm>
#include <set>

#include "contract/constants.h"
#include "pte/constant_method.h"
#include "tensor/weight.h"

namespace diptych::contract {
namespace {

bool has_constant(const pte::Program& file, std::string_view name) {
  const pte::Method* method = pte::find_method(file, name);
  return method != nullptr && pte::is_constant_method(*method);
}

// The values of a constant that may be missing.
Result<std::optional<std::vector<int64_t>>> constant_ints(const pte::Program& file,
                                                          const std::string& name) {
  if (!has_constant(file, name)) return std::nullopt;
  return TRY(pte::constant_ints(file, name));
}

// Reads one method.
class FunctionReader {
 public:
  FunctionReader(const pte::Program& file, const MethodTypes& types, Role role)
      : file_(file), types_(types) {
    function_.method.name = types.name;
    function_.method.role = role;
  }

  Result<Function> read(Model& model) {
    TRY(find_inputs());
    TRY(take_places());
    TRY(check_inputs(model));
    TRY(read_outputs(model));
    return std::move(function_);
  }

 private:
  const TensorType& input(size_t index) const { return types_.inputs[index]; }
  Places& at() { return function_.places; }

  tl::unexpected<Error> broken(std::string_view expected) const {
    Error error{ErrorCode::Unsupported,
                "method " + types_.name,
                fmt::format("not a static-attention Llama: expected {}; its inputs are", expected),
                {}};
    for (const TensorType& type : types_.inputs) error.items.push_back(to_string(type));
    return tl::unexpected(std::move(error));
  }

  // What each input is by its type; tables and caches in the order of the inputs.
  Status find_inputs() {
    std::vector<size_t> caches, tables;
    bool has_tokens = false;
    for (size_t i = 0; i < types_.inputs.size(); ++i) {
      const TensorType& type = input(i);
      const bool is_integer_input = type.dtype == DType::Int32 || type.dtype == DType::Int64;
      if (is_integer_input && type.rank() == 2 && type.shape[0] == 1 && !has_tokens) {
        has_tokens = true;
        at().tokens = i;
        function_.method.tokens = type.shape[1];
      } else if (is_integer_input && type.rank() == 1 && type.shape[0] == 1) {
        at().last_position = i;
      } else if (is_float(type.dtype) && type.rank() == 3) {
        at().masks.push_back(i);
      } else if (is_float(type.dtype) && type.rank() == 2) {
        tables.push_back(i);
      } else if (is_float(type.dtype) && type.rank() == 4) {
        caches.push_back(i);
      } else {
        return broken(fmt::format("no input such as number {}", i));
      }
    }
    if (!has_tokens || at().masks.empty()) {
      return broken("tokens int32[1,T] and a mask [1,T,C+T]");
    }
    if (tables.empty() || tables.size() % 2 != 0)
      return broken("two RoPE inputs [T,w] of one type");
    for (size_t i = 0; i < tables.size(); i += 2) {
      at().cos.push_back(tables[i]);
      at().sin.push_back(tables[i + 1]);
    }
    if (caches.empty() || caches.size() % 2 != 0) {
      return broken("as many key caches as value caches [1,kv_heads,C,head_dim]");
    }
    const auto middle = caches.begin() + static_cast<std::ptrdiff_t>(caches.size() / 2);
    at().key_inputs.assign(caches.begin(), middle);
    at().value_inputs.assign(middle, caches.end());
    return {};
  }

  // Puts what the constants say in the place of what the order suggested: the same inputs of each
  // kind, in another order.
  Status take_places() {
    TRY(take_single(kTokensPlace, at().tokens));
    TRY(take(kCosPlace, kSinPlace, at().cos, at().sin));
    const auto masks = TRY(rows_of(kMaskSpecs, 2));
    if (!masks.empty()) TRY(reorder(kMaskSpecs, {&at().masks}, {column(masks, 2, 0)}));
    auto caches = TRY(rows_of(kCacheSpecs, 5));
    if (caches.empty()) return {};
    // Upstream sorts rows by the caches' names ("l10" before "l2"); inputs are in layer order.
    std::vector<std::pair<int64_t, int64_t>> pairs;
    for (size_t row = 0; row < caches.size(); row += 5) {
      pairs.emplace_back(caches[row], caches[row + 2]);
    }
    std::sort(pairs.begin(), pairs.end());
    std::vector<int64_t> keys, values;
    for (const auto& [key, value] : pairs) {
      keys.push_back(key);
      values.push_back(value);
    }
    return reorder(kCacheSpecs, {&at().key_inputs, &at().value_inputs}, {keys, values});
  }

  Status take_single(std::string_view constant, size_t& place) {
    const std::string name = constant_name(function_.method, constant);
    const auto said = TRY(constant_ints(file_, name));
    if (!said || (said->size() == 1 && (*said)[0] == static_cast<int64_t>(place))) return {};
    return invalid_data("metadata method {}: expected {}, as the signature has it", name, place);
  }

  // Two constants of as many places each, which share the inputs of one kind.
  Status take(std::string_view first, std::string_view second, std::vector<size_t>& firsts,
              std::vector<size_t>& seconds) {
    const auto one = TRY(constant_ints(file_, constant_name(function_.method, first)));
    const auto other = TRY(constant_ints(file_, constant_name(function_.method, second)));
    if (!one || !other) return {};
    return reorder(first, {&firsts, &seconds}, {*one, *other});
  }

  // The rows of a table of `columns`, in one; empty when the file has none.
  Result<std::vector<int64_t>> rows_of(std::string_view constant, size_t columns) {
    const std::string name = constant_name(function_.method, constant);
    const auto said = TRY(constant_ints(file_, name));
    if (!said) return std::vector<int64_t>();
    if (said->empty() || said->size() % columns != 0) {
      return invalid_data("metadata method {}: {} values, expected rows of {}", name, said->size(),
                          columns);
    }
    return *said;
  }
  static std::vector<int64_t> column(const std::vector<int64_t>& rows, size_t columns,
                                     size_t index) {
    std::vector<int64_t> values;
    for (size_t i = index; i < rows.size(); i += columns) values.push_back(rows[i]);
    return values;
  }

  Status reorder(std::string_view constant, const std::vector<std::vector<size_t>*>& places,
                 const std::vector<std::vector<int64_t>>& said) {
    std::multiset<int64_t> found, expected;
    bool fits = true;
    for (size_t i = 0; i < places.size(); ++i) {
      found.insert(places[i]->begin(), places[i]->end());
      expected.insert(said[i].begin(), said[i].end());
      fits = fits && places[i]->size() == said[i].size();
    }
    if (!fits || found != expected) {
      return invalid_data("metadata method {} names other inputs than the signature has",
                          constant_name(function_.method, constant));
    }
    for (size_t i = 0; i < places.size(); ++i) places[i]->assign(said[i].begin(), said[i].end());
    return {};
  }

  // One dtype, shapes that fit each other; what they say of the model.
  Status check_inputs(Model& model) {
    const int64_t tokens = function_.method.tokens;
    if (input(at().tokens).dtype != DType::Int32) return broken("tokens of int32");
    if (at().last_position && input(*at().last_position).dtype != DType::Int64) {
      return broken("a last position of int64");
    }
    const TensorType rope = input(at().cos.front());
    for (const auto* tables : {&at().cos, &at().sin}) {
      for (const size_t table : *tables) {
        if (input(table) != rope || rope.shape[0] != tokens) {
          return broken("two RoPE inputs [T,w] of one type");
        }
      }
    }
    const TensorType first = input(at().key_inputs.front());
    if (first.dtype != DType::F16 && first.dtype != DType::F32) {
      return broken("fp16 or fp32 caches");
    }
    model.dtype = first.dtype;
    model.kv_heads = first.shape[1];
    model.head_dim = first.shape[3];
    model.rope_width = rope.shape[1];
    for (const size_t mask : at().masks) {
      const int64_t cache_len = input(mask).shape[2] - tokens;
      if (input(mask).shape != Shape{1, tokens, cache_len + tokens} || cache_len < 1) {
        return broken("a mask [1,T,C+T] that fits the caches [1,kv_heads,C,head_dim]");
      }
      if (input(mask).dtype != model.dtype || rope.dtype != model.dtype) {
        return broken("mask, RoPE rows and caches of one dtype");
      }
      model.classes.push_back({cache_len, {}});
    }
    for (size_t layer = 0; layer < at().key_inputs.size(); ++layer) {
      const TensorType& cache = input(at().key_inputs[layer]);
      const auto fits = [&](const LayerClass& layers) {
        return cache ==
               TensorType{model.dtype, {1, model.kv_heads, layers.cache_len, model.head_dim}};
      };
      const auto found = std::find_if(model.classes.begin(), model.classes.end(), fits);
      if (found == model.classes.end()) {
        return broken(model.classes.size() > 1 || cache == first
                          ? "a mask [1,T,C+T] that fits the caches [1,kv_heads,C,head_dim]"
                          : "caches of one type");
      }
      if (input(at().value_inputs[layer]) != cache) return broken("caches of one type");
      model.class_of_layer.push_back(static_cast<size_t>(found - model.classes.begin()));
    }
    return {};
  }

  Status read_outputs(Model& model) {
    const size_t layers = model.layers(), count = types_.outputs.size();
    if (count != 1 + 2 * layers) {
      return broken(fmt::format("{} outputs, found {}", 1 + 2 * layers, count));
    }
    const int64_t tokens = function_.method.tokens;
    for (size_t layer = 0; layer < layers; ++layer) {
      at().key_outputs.push_back(1 + layer);
      at().value_outputs.push_back(1 + layers + layer);
    }
    const TensorType fresh = {model.dtype, {1, model.kv_heads, tokens, model.head_dim}};
    for (size_t i = 1; i < count; ++i) {
      if (types_.outputs[i] != fresh) {
        return broken(fmt::format("output {} of {}", i, to_string(fresh)));
      }
    }
    const TensorType& logits = types_.outputs[0];
    if (logits.dtype != model.dtype || (logits.rank() != 2 && logits.rank() != 3) ||
        logits.shape[0] != 1) {
      return broken("logits [1,V], [1,1,V] or [1,T,V]");
    }
    model.vocab_size = logits.shape.back();
    const int64_t rows = logits.rank() == 3 ? logits.shape[1] : 1;
    if (rows != 1 && rows != tokens) return broken("logits of one or all positions");
    // With T = 1 both are the same.
    const bool all = rows == tokens && !at().last_position;
    if (!all && !at().last_position && tokens != 1) {
      return broken("last_valid_token_pos where logits are of one position");
    }
    function_.method.all_logits = all;
    return {};
  }

  const pte::Program& file_;
  const MethodTypes& types_;
  Function function_;
};

bool same_caches(const Model& a, const Model& b) {
  const auto lengths = [](const Model& model) {
    std::vector<int64_t> all;
    for (size_t layer = 0; layer < model.layers(); ++layer) {
      all.push_back(model.class_of(layer).cache_len);
    }
    return all;
  };
  return a.kv_heads == b.kv_heads && a.head_dim == b.head_dim && a.vocab_size == b.vocab_size &&
         a.dtype == b.dtype && a.rope_width == b.rope_width && lengths(a) == lengths(b);
}

// By layer, as upstream's runner takes caches of several lengths: those that are shorter than the
// longest are of layers with a window of this length.
std::vector<int64_t> windows_of_upstream(const Model& model) {
  int64_t longest = 0;
  for (const LayerClass& layers : model.classes) longest = std::max(longest, layers.cache_len);
  std::vector<int64_t> windows;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const int64_t length = model.class_of(layer).cache_len;
    windows.push_back(length < longest ? length : 0);
  }
  return windows;
}

// A token must find in the cache what it sees besides itself, as far as there can be so much.
Status check_windows(const Description& model) {
  for (const LayerClass& layers : model.classes) {
    if (!layers.window) continue;
    const int64_t needed = std::min(*layers.window - 1, model.cache_len());
    if (layers.cache_len >= needed) continue;
    return invalid_data(
        "layers with a window of {} positions have caches of {}, expected {} at "
        "least",
        *layers.window, layers.cache_len, needed);
  }
  return {};
}

// What the constants say of layers beyond their caches.
Status read_layers(const pte::Program& file, Model& model, size_t tables) {
  const auto by_layer = [&](std::string_view name, int64_t least,
                            int64_t most) -> Result<std::vector<int64_t>> {
    const auto said = TRY(constant_ints(file, std::string(name)));
    if (!said) return std::vector<int64_t>(model.layers(), 0);
    const auto wrong = [&](int64_t value) { return value < least || value > most; };
    if (said->size() != model.layers() || std::any_of(said->begin(), said->end(), wrong)) {
      return invalid_data("metadata method {}: expected {} values from {} to {}", name,
                          model.layers(), least, most);
    }
    return *said;
  };
  for (const int64_t table : TRY(by_layer(kLayerRope, kNoRope, static_cast<int64_t>(tables) - 1))) {
    model.rope_of_layer.push_back(table == kNoRope ? std::nullopt
                                                   : std::optional(static_cast<size_t>(table)));
  }
  auto windows = TRY(by_layer(kLayerWindows, 0, INT32_MAX));
  if (!has_constant(file, kLayerWindows)) windows = windows_of_upstream(model);
  std::vector<std::optional<size_t>> first_of_class(model.classes.size());
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    std::optional<size_t>& first = first_of_class[model.class_of_layer[layer]];
    if (!first) {
      first = layer;
      if (windows[layer] > 0) model.classes[model.class_of_layer[layer]].window = windows[layer];
    } else if (windows[layer] != windows[*first]) {
      return invalid_data("layers {} and {} share a mask, but not their window", *first, layer);
    }
  }
  return {};
}

// What hides a column, if the file says so.
Status read_hidden_entry(const pte::Program& file, Model& model) {
  if (!has_constant(file, kHiddenEntry)) return {};
  constexpr int64_t kLowest = -65504;
  const int64_t said = TRY(pte::constant_int(file, std::string(kHiddenEntry)));
  if (said < kLowest || said > kFiniteHidden) {
    return invalid_data("metadata method {}: expected {} to {}, found {}", kHiddenEntry, kLowest,
                        kFiniteHidden, said);
  }
  model.hidden = static_cast<float>(said);
  return {};
}

Result<pte::ConstantTensor> constant_tensor(const pte::Program& file, const std::string& name) {
  pte::ConstantValue value = TRY(pte::constant_value(file, name));
  if (const auto* tensor = std::get_if<pte::ConstantTensor>(&value)) return *tensor;
  return invalid_data("metadata method {}: expected a tensor, found {}", name,
                      pte::to_string(value));
}

Status read_rope_tables(const pte::Program& file, size_t count, Description& description) {
  for (size_t table = 0; table < count; ++table) {
    const std::string cos_name = rope_constant("cos", table),
                      sin_name = rope_constant("sin", table);
    const auto cos = TRY(constant_tensor(file, cos_name));
    const auto sin = TRY(constant_tensor(file, sin_name));
    if (cos.type != sin.type || !is_float(cos.type.dtype) || cos.type.rank() != 2 ||
        cos.type.shape[1] != description.rope_width || cos.type.shape[0] < 1) {
      return invalid_data("{} {} and {} {}: expected two tables [max_context,{}]", cos_name,
                          to_string(cos.type), sin_name, to_string(sin.type),
                          description.rope_width);
    }
    if (table > 0 && cos.type.shape[0] != description.max_context) {
      return invalid_data("{} has {} rows, freqs_cos {}", cos_name, cos.type.shape[0],
                          description.max_context);
    }
    description.max_context = cos.type.shape[0];
    const auto rows = [&](const pte::ConstantTensor& tensor) -> Result<std::vector<std::byte>> {
      const WeightRef weight = TRY(mapped_weight(tensor.type, tensor.bytes, nullptr));
      return read_all(*packed_source(cast(weight, description.dtype)));
    };
    auto cos_rows = TRY(rows(cos)), sin_rows = TRY(rows(sin));
    description.ropes.push_back({std::move(cos_rows), std::move(sin_rows)});
  }
  return {};
}

// What the constants say must agree with the signatures where both speak.
Status check_constants(const pte::Program& file, const Model& model) {
  const auto expect = [&](const char* name, int64_t found) -> Status {
    if (!has_constant(file, name)) return {};
    const int64_t said = TRY(pte::constant_int(file, name));
    if (said == found) return {};
    return invalid_data("metadata method {} says {}, the signature says {}", name, said, found);
  };
  TRY(expect("vocab_size", model.vocab_size));
  TRY(expect("head_dim", model.head_dim));
  return expect("n_heads_per_cache", model.kv_heads);
}

}  // namespace

int64_t Description::cache_len() const {
  int64_t tokens = max_context;
  for (const LayerClass& layers : classes) {
    if (!layers.window) tokens = std::min(tokens, layers.cache_len);
  }
  return tokens;
}

const Function* Description::verify() const {
  for (auto function = functions.rbegin(); function != functions.rend(); ++function) {
    if (function->method.all_logits) return &*function;
  }
  return nullptr;
}

Result<Description> read(const pte::Program& file, std::span<const MethodTypes> methods) {
  Description description;
  for (const MethodTypes& types : methods) {
    const Role role =
        methods.size() == 1 ? Role::Single : role_of(types.name).value_or(Role::Prefill);
    Model seen;
    Function function = TRY(FunctionReader(file, types, role).read(seen));
    if (description.functions.empty()) {
      static_cast<Model&>(description) = std::move(seen);
    } else if (!same_caches(seen, description) ||
               function.places.cos.size() != description.decode().places.cos.size()) {
      return unsupported("methods {} and {} do not share one cache format",
                         description.decode().method.name, types.name);
    }
    description.functions.push_back(std::move(function));
  }
  if (description.functions.empty()) {
    Error error{ErrorCode::Unsupported,
                {},
                "no method named forward, prefill or decode; its methods are",
                {}};
    for (const pte::Method& method : file.methods) {
      if (!pte::is_constant_method(method)) error.items.push_back(method.name);
    }
    return tl::unexpected(std::move(error));
  }
  std::stable_sort(
      description.functions.begin(), description.functions.end(),
      [](const Function& a, const Function& b) { return a.method.tokens < b.method.tokens; });
  const size_t tables = description.decode().places.cos.size();
  TRY(read_layers(file, description, tables));
  TRY(read_hidden_entry(file, description));
  TRY(read_rope_tables(file, tables, description));
  TRY(check_constants(file, description));
  TRY(check_windows(description));
  return description;
}

}  // namespace diptych::contract
