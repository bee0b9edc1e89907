#include "llama/graph.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "contract/signature.h"
#include "mil/builder.h"

namespace diptych::llama {
namespace {

using mil::Value;

// What coremltools gives rsqrt, beside the norm's own epsilon.
constexpr double kRsqrtEpsilon = 1e-12;

// Emits one method. Names of dimensions as in contract::Model and Params: T tokens, C cache length,
// S = C + T, D dim, H heads, K kv heads, G = H / K, d head_dim, F hidden_dim, V vocabulary.
class GraphBuilder {
 public:
  GraphBuilder(const Params& params, const PreparedWeights& weights, const GraphOptions& options)
      : params_(params),
        weights_(weights),
        model_(options.model),
        graph_breaks_(options.graph_breaks),
        norm_form_(options.norm),
        adapter_(options.adapter),
        tokens_(options.method.tokens),
        b_(std::make_unique<mil::Function>(options.method.name)) {}

  Result<std::unique_ptr<mil::Function>> build(const contract::Signature& method) {
    add_inputs(method);
    Value* x = embed();
    if (graph_breaks_) x = break_graph(x, kFirstBreakInput);
    // Upstream's partitioner moves what depends on inputs alone to the front of a partition.
    if (graph_breaks_ && params_.use_hf_rope) widen_rope_inputs();
    for (size_t i = 0; i < weights_.tensors.layers.size(); ++i) {
      const size_t first_op = b_.function().ops.size();
      x = layer(i, x);
      name_results(i, first_op);
    }
    if (graph_breaks_) x = break_graph(x, kSecondBreakInput);
    return finish(method, head(x));
  }

 private:
  // --- Interface ---

  void add_inputs(const contract::Signature& method) {
    std::vector<Value*> inputs;
    for (const contract::NamedType& input : method.inputs) {
      TensorType type = input.type;
      if (type.dtype == DType::Int64) type.dtype = DType::Int32;  // Core ML has no int64
      inputs.push_back(b_.input(input.name, std::move(type)));
    }
    const contract::Places& at = method.places;
    const auto at_places = [&](const std::vector<size_t>& places) {
      std::vector<Value*> values;
      for (const size_t place : places) values.push_back(inputs[place]);
      return values;
    };
    token_ids_ = inputs[at.tokens];
    masks_ = at_places(at.masks);
    cos_ = at_places(at.cos);
    sin_ = at_places(at.sin);
    k_caches_ = at_places(at.key_inputs);
    v_caches_ = at_places(at.value_inputs);
    if (at.last_position) position_ = inputs[*at.last_position];
  }

  Result<std::unique_ptr<mil::Function>> finish(const contract::Signature& method, Value* logits) {
    std::vector<Value*> outputs = {logits};
    outputs.insert(outputs.end(), new_k_.begin(), new_k_.end());
    outputs.insert(outputs.end(), new_v_.begin(), new_v_.end());
    for (size_t i = 0; i < outputs.size(); ++i) rename(outputs[i], method.outputs[i].name);
    return b_.finish(std::move(outputs));
  }

  Value* break_graph(Value* x, std::string_view name) {
    Value* result = b_.graph_break({x}).front();
    rename(result, name);
    return result;
  }

  // --- The model, top down ---

  Value* embed() {  // -> [1,T,D]
    Value* table = b_.constant("tok_embeddings_weight", weights_.tensors.tok_embeddings);
    Value* x = b_.gather(table, guarded_index(token_ids_, params_.vocab_size), 0);
    return times(x, params_.embedding_scale_factor * params_.residual_scale);
  }

  Value* layer(size_t i, Value* x) {  // [1,T,D] -> [1,T,D]
    const LayerWeights& w = weights_.tensors.layers[i];
    Value* o = attention(i, norm_if(i, x, "attention_norm", w.attention_norm, stream_epsilon()));
    x = b_.add(x, update(i, o, "post_attention_norm", w.post_attention_norm));
    o = feed_forward(i, norm_if(i, x, "ffn_norm", w.ffn_norm, stream_epsilon()));
    return b_.add(x, update(i, o, "post_ffn_norm", w.post_ffn_norm));
  }

  // What is added of a block's output.
  Value* update(size_t i, Value* output, std::string_view name, const WeightRef& post_norm) {
    return times(norm_if(i, output, name, post_norm, params_.norm_eps),
                 params_.residual_multiplier);
  }

  Value* attention(size_t i, Value* x) {  // [1,T,D] -> [1,T,D]
    const LayerWeights& w = weights_.tensors.layers[i];
    const int64_t heads = params_.n_heads, kv_heads = params_.n_kv_heads, d = params_.head_dim;
    const int64_t group = params_.heads_per_group();
    const int64_t total = model_.class_of(i).cache_len + tokens_;  // S

    Value* q = adapted(i, x, "attention_wq", &LayerWeights::wq, w.bq);
    Value* k = adapted(i, x, "attention_wk", &LayerWeights::wk, w.bk);
    Value* v = adapted(i, x, "attention_wv", &LayerWeights::wv, w.bv);
    if (params_.qk_norm_whole) {
      q = norm(q, norm_weight(i, "attention_q_norm", w.q_norm), params_.norm_eps);
      k = norm(k, norm_weight(i, "attention_k_norm", w.k_norm), params_.norm_eps);
    }
    q = split_heads(q, heads);     // [1,H,T,d]
    k = split_heads(k, kv_heads);  // [1,K,T,d]
    v = split_heads(v, kv_heads);  // [1,K,T,d]
    new_v_.push_back(v);
    // Where the V cache is first used decides its place among the partition's inputs.
    Value* all_v = graph_breaks_ ? b_.concat({v_caches_[i], v}, -2) : nullptr;

    const bool norm_heads = params_.use_qk_norm && !params_.qk_norm_whole;
    if (norm_heads && params_.qk_norm_before_rope) normalise(i, q, k);
    rotate(i, q, k);
    if (norm_heads && !params_.qk_norm_before_rope) {
      q = reshape(q, {1, heads, tokens_, d});
      normalise(i, q, k);
    }
    new_k_.push_back(k);
    Value* all_k = b_.concat({k_caches_[i], k}, -2);  // [1,K,S,d]
    if (!graph_breaks_) all_v = b_.concat({v_caches_[i], v}, -2);

    // The heads that share keys and values become a batch of their own.
    q = reshape(q, {kv_heads, group, tokens_, d});
    all_k = reshape(all_k, {kv_heads, 1, total, d});
    all_v = reshape(all_v, {kv_heads, 1, total, d});
    Value* p = b_.matmul(q, all_k, false, true);  // [K,G,T,S]
    p = capped(p, params_.score_scale(), params_.attn_logit_softcapping);
    p = b_.add(reshape(p, {1, heads, tokens_, total}), masks_[model_.class_of_layer[i]]);
    p = reshape(b_.softmax(p, -1), {kv_heads, group, tokens_, total});
    Value* o = reshape(b_.matmul(p, all_v, false, false), {1, heads, tokens_, d});
    o = reshape(b_.transpose(o, {0, 2, 1, 3}), {1, tokens_, -1});
    return adapted(i, o, "attention_wo", &LayerWeights::wo, w.bo);
  }

  Value* feed_forward(size_t i, Value* x) {  // [1,T,D] -> [1,T,D]
    const LayerWeights& w = weights_.tensors.layers[i];
    Value* gate = adapted(i, x, "feed_forward_w1", &LayerWeights::w1, w.b1);
    Value* up = adapted(i, x, "feed_forward_w3", &LayerWeights::w3, w.b3);
    gate = params_.act_fn == Activation::Silu ? b_.silu(gate) : b_.gelu_tanh(gate);
    return adapted(i, b_.mul(gate, up), "feed_forward_w2", &LayerWeights::w2, w.b2);
  }

  Value* head(Value* x) {  // [1,T,D] -> [1,T,V], or [1,1,V] with a position
    if (position_ != nullptr) x = b_.gather(x, position_index(), 1);
    x = norm(x, b_.constant("norm_weight", weights_.tensors.norm), stream_epsilon());
    const WeightRef& gain = weights_.tensors.rotated_gain;
    if (gain) x = linear(x, "rotated_gain", gain);
    x = linear(x, "output", weights_.tensors.output);
    // The divisor of logits is in the norm's weight (prepare()).
    return params_.final_logit_softcapping ? capped(x, 1, params_.final_logit_softcapping) : x;
  }

  // --- Parts ---

  // A multiplication by 1 is left out.
  Value* times(Value* x, double factor) { return factor == 1 ? x : b_.mul(x, scalar(factor)); }

  // x * scale, with a cap c as c * tanh(x * scale / c).
  Value* capped(Value* x, double scale, const std::optional<double>& cap) {
    if (!cap) return b_.mul(x, scalar(scale));
    return b_.mul(b_.unary("tanh", b_.mul(x, scalar(scale / *cap))), scalar(*cap));
  }

  // Without a weight there is no norm.
  Value* norm_if(size_t i, Value* x, std::string_view name, const WeightRef& weight,
                 double epsilon) {
    return weight ? norm(x, norm_weight(i, name, weight), epsilon) : x;
  }

  // Of norms of the stream between blocks, which is scaled.
  double stream_epsilon() const {
    return params_.norm_eps * params_.residual_scale * params_.residual_scale;
  }

  // RMSNorm over the last axis; `scale` null for one without weights.
  Value* norm(Value* x, Value* scale, double epsilon) {
    Value* normalised = b_.mul(
        x, norm_form_ == NormForm::Safe ? safe_factor(x, epsilon) : plain_factor(x, epsilon));
    return scale == nullptr ? normalised : b_.mul(normalised, scale);
  }

  Value* plain_factor(Value* x, double epsilon) {
    Value* mean = b_.reduce_mean(b_.mul(x, x), {-1}, true);
    return b_.rsqrt(b_.add(mean, scalar(epsilon)), kRsqrtEpsilon);
  }

  Value* safe_factor(Value* x, double epsilon) {
    Value* root = scalar(epsilon_root(epsilon));
    Value* divisor = b_.add(b_.reduce_max(b_.unary("abs", x), {-1}, true), root);
    Value* small = b_.real_div(x, divisor);
    Value* mean = b_.reduce_mean(b_.mul(small, small), {-1}, true);
    Value* share = b_.real_div(root, divisor);
    Value* inverse = b_.rsqrt(b_.add(mean, b_.mul(share, share)), kRsqrtEpsilon);
    return b_.real_div(inverse, divisor);
  }

  // sqrt(epsilon), in fp16 at least its smallest normal number: less may be taken for 0, and a row
  // of zeros is divided by it.
  double epsilon_root(double epsilon) const {
    const double root = std::sqrt(epsilon);
    return weights_.dtype == DType::F16 ? std::max(root, 0x1p-14) : root;
  }

  // RMSNorm as coremltools lowers torch's own: rows are divided by their largest magnitude first,
  // but epsilon is not, so it counts relative to that. Upstream gets this far in fp32 only; in fp16
  // the plain form would overflow.
  Value* scaled_norm(Value* x, Value* scale) {
    Value* largest = b_.reduce_max(b_.unary("abs", x), {-1}, true);
    Value* square = b_.unary("square", b_.real_div(x, largest));
    Value* mean = b_.reduce_mean(square, {-1}, true);
    Value* root = b_.unary("sqrt", b_.add(mean, scalar(params_.norm_eps)));
    return b_.mul(b_.real_div(x, b_.mul(root, largest)), scale);
  }

  // Normalises each head of q and k.
  void normalise(size_t i, Value*& q, Value*& k) {
    const LayerWeights& w = weights_.tensors.layers[i];
    const bool affine = params_.qk_norm_affine;
    if (norm_form_ == NormForm::Safe) {
      q = norm(q, affine ? norm_weight(i, "attention_q_norm", w.q_norm) : nullptr,
               params_.norm_eps);
      k = norm(k, affine ? norm_weight(i, "attention_k_norm", w.k_norm) : nullptr,
               params_.norm_eps);
    } else if (affine) {
      q = scaled_norm(q, norm_weight(i, "attention_q_norm", w.q_norm));
      k = scaled_norm(k, norm_weight(i, "attention_k_norm", w.k_norm));
    } else {
      q = norm(q, nullptr, params_.norm_eps);
      k = norm(k, nullptr, params_.norm_eps);
    }
  }

  struct Rotation {
    Value *cos, *sin;
  };

  // RoPE, if the layer has any: k [1,K,T,d] -> [1,K,T,d]; q [1,H,T,d] -> the same elements as
  // [1,H,T,d], in a shape that the caller chooses by a reshape.
  void rotate(size_t i, Value*& q, Value*& k) {
    const std::optional<size_t> table = model_.rope_of_layer[i];
    if (!table) return;
    if (params_.use_hf_rope && !rope_widened_) widen_rope_inputs();
    const Rotation by{cos_[*table], sin_[*table]};
    if (params_.use_hf_rope) {
      q = rotate_halves(q, params_.n_heads, by);
      k = rotate_halves(k, params_.n_kv_heads, by);
    } else {
      q = rotate_pairs(q, params_.n_heads, by);
      k = rotate_pairs(k, params_.n_kv_heads, by);
      k = reshape(k, {1, params_.n_kv_heads, tokens_, params_.head_dim});
    }
  }

  Value* rotate_pairs(Value* x, int64_t heads, const Rotation& by) {  // [1,h,T,d] -> [1,h,T,d/2,2]
    const Shape end = {1, heads, tokens_, params_.head_dim};
    Value* even = b_.slice_by_index(x, {0, 0, 0, 0}, end, {1, 1, 1, 2}, {1, 1, 1, 1});
    Value* odd = b_.slice_by_index(x, {0, 0, 0, 1}, end, {1, 1, 1, 2}, {1, 1, 1, 1});
    Value* even_cos = b_.mul(even, by.cos);
    Value* even_sin = b_.mul(even, by.sin);
    Value* odd_sin = b_.mul(odd, by.sin);
    Value* odd_cos = b_.mul(odd, by.cos);
    Value* real = b_.sub(even_cos, odd_sin);
    Value* imaginary = b_.add(even_sin, odd_cos);
    return b_.stack({real, imaginary}, -1);
  }

  Value* rotate_halves(Value* x, int64_t heads, const Rotation& by) {  // [1,h,T,d] -> [1,h,T,d]
    const int64_t d = params_.head_dim;
    Value* low = b_.slice_by_index(x, {0, 0, 0, 0}, {1, heads, tokens_, d / 2}, {}, {1, 1, 1, 0});
    Value* high = b_.slice_by_index(x, {0, 0, 0, d / 2}, {1, heads, tokens_, d}, {}, {1, 1, 1, 1});
    Value* turned = b_.concat({b_.mul(high, scalar(-1)), low}, -1);
    Value* along = b_.mul(x, by.cos);
    Value* across = b_.mul(turned, by.sin);
    return b_.add(along, across);
  }

  void widen_rope_inputs() {  // [T,d] -> [1,T,d]
    for (size_t table = 0; table < cos_.size(); ++table) {
      cos_[table] = b_.expand_dims(cos_[table], {0});
      sin_[table] = b_.expand_dims(sin_[table], {0});
    }
    rope_widened_ = true;
  }

  Value* split_heads(Value* x, int64_t heads) {  // [1,T,h*d] -> [1,h,T,d]
    return b_.transpose(reshape(x, {1, tokens_, heads, params_.head_dim}), {0, 2, 1, 3});
  }

  // A linear without a bias gets one of zeros, as coremltools gives it.
  Value* linear(Value* x, std::string_view name, const WeightRef& weight,
                const WeightRef& bias = nullptr) {
    Value* weights = b_.constant(fmt::format("{}_weight", name), weight);
    Value* biases =
        bias ? b_.constant(fmt::format("{}_bias", name), bias) : zero_bias(weight->rows());
    return b_.linear(x, weights, biases);
  }

  // A layer's linear, with what the adapter adds to it.
  Value* adapted(size_t i, Value* x, std::string_view part, WeightRef LayerWeights::*member,
                 const WeightRef& bias) {
    const std::string name = layer_name(i, part);
    Value* y = linear(x, name, weights_.tensors.layers[i].*member, bias);
    if (adapter_ == nullptr || !(adapter_->a[i].*member)) return y;
    const WeightRef& a = adapter_->a[i].*member;
    // Linears of one x may have one matrix a.
    Value*& inner = adapter_inner_[{x, a.get()}];
    if (inner == nullptr) inner = linear(x, name + "_lora_a", a);
    return b_.add(y, linear(inner, name + "_lora_b", adapter_->b[i].*member));
  }

  // --- Indices ---

  // fp16 programs pass the indices of small tables as 16-bit integers.
  bool narrow_index(int64_t size) const {
    return weights_.dtype == DType::F16 && size <= INT16_MAX;
  }

  // An index into `size` rows, negative ones counted from the end (gather takes none).
  Value* guarded_index(Value* index, int64_t size) {
    const bool narrow = narrow_index(size);
    if (narrow) index = b_.cast(b_.cast(index, DType::Int16), DType::Int32);
    Value* in_range = b_.greater_equal(index, b_.int_scalar(0));
    Value* from_end = b_.add(index, b_.int_scalar(size));
    Value* guarded = b_.select(in_range, index, from_end);
    return narrow ? b_.cast(guarded, DType::Int16) : guarded;
  }

  Value* position_index() {
    // As upstream: coremltools chooses the unsigned type for every gather after a program's first,
    // and an unsigned index needs no guard.
    if (!graph_breaks_ && narrow_index(tokens_)) return b_.cast(position_, DType::UInt16);
    return guarded_index(position_, tokens_);
  }

  // --- Values and names ---

  Value* norm_weight(size_t i, std::string_view name, const WeightRef& weight) {
    return b_.constant(layer_name(i, fmt::format("{}_weight", name)), weight);
  }

  std::string layer_name(size_t i, std::string_view part) const {
    return fmt::format("layers_{}_{}", i, part);
  }

  Value* zero_bias(int64_t width) {
    Value*& value = zero_biases_[width];
    if (value == nullptr) {
      value = b_.constant(fmt::format("zero_bias_{}", width), weights_.zero_biases.at(width));
    }
    return value;
  }

  Value* scalar(double value) { return b_.float_scalar(weights_.dtype, value); }

  // A reshape that would change nothing is left out, as coremltools does.
  Value* reshape(Value* x, Shape shape) {
    return x->type.shape == shape ? x : b_.reshape(x, std::move(shape));
  }

  void rename(Value* value, std::string_view name) {
    if (b_.ok()) b_.function().rename(value, name);
  }

  // Puts the layer into the names of the results from `first_op` on, for messages and listings.
  void name_results(size_t i, size_t first_op) {
    const auto& ops = b_.function().ops;
    for (size_t at = first_op; at < ops.size(); ++at) {
      rename(ops[at]->result(), layer_name(i, ops[at]->type));
    }
  }

  const Params& params_;
  const PreparedWeights& weights_;
  const contract::Model& model_;
  const bool graph_breaks_;
  const NormForm norm_form_;
  const Adapter* const adapter_;  // null: none
  const int64_t tokens_;          // T
  mil::Builder b_;

  Value* token_ids_ = nullptr;
  Value* position_ = nullptr;  // null when the logits of all rows are asked for
  bool rope_widened_ = false;
  std::vector<Value*> masks_;                                         // by layer class
  std::vector<Value*> cos_, sin_;                                     // by RoPE table
  std::vector<Value*> k_caches_, v_caches_, new_k_, new_v_;           // by layer
  std::unordered_map<int64_t, Value*> zero_biases_;                   // by width
  std::map<std::pair<Value*, const Weight*>, Value*> adapter_inner_;  // a * x, by x and a
};

}  // namespace

Result<std::unique_ptr<mil::Function>> build(const Params& params, const PreparedWeights& weights,
                                             const GraphOptions& options) {
  const auto method = TRY(contract::signature(options.model, options.method));
  return GraphBuilder(params, weights, options).build(method);
}

}  // namespace diptych::llama
