// Recurrent layers: rnn, gru and lstm, one step after the other, in fp32. Each sequence of a batch
// is computed by one thread.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

using Activation = float (*)(float);

Result<Activation> activation_of(const mil::Op& op, std::string_view param,
                                 std::string_view fallback) {
  std::string name = TRY(mil::string_param(op, param, std::string(fallback)));
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (name == "sigmoid") return [](float v) { return 1.0f / (1.0f + std::exp(-v)); };
  if (name == "relu") return [](float v) { return std::max(v, 0.0f); };
  if (name == "linear") return [](float v) { return v; };
  if (name == "hard_sigmoid" || name == "sigmoid_hard") {
    return [](float v) { return std::clamp(0.2f * v + 0.5f, 0.0f, 1.0f); };
  }
  return [](float v) { return std::tanh(v); };  // scaled_tanh too: its scales are 1
}

// out[i] += weights[i] · x, for rows of n.
void add_product(const float* weights, const float* x, int64_t rows, int64_t n, float* out) {
  for (int64_t i = 0; i < rows; ++i, weights += n) {
    out[i] += std::inner_product(x, x + n, weights, 0.0f);
  }
}

// The operands of one direction. Weights are [gates * hidden, in] and [gates * hidden, hidden].
struct Weights {
  Place input, hidden;
  std::optional<Place> bias, input_bias, peephole;

  static Result<Weights> open(const mil::Op& op, Lowering& lowering, const std::string& suffix) {
    const auto optional = [&](const std::string& param) -> Result<std::optional<Place>> {
      const mil::Value* value = op.operand(param);
      if (value == nullptr) return std::optional<Place>();
      return std::optional<Place>(TRY(lowering.cells(*value)));
    };
    const Place input = TRY(lowering.cells(*op.operand("weight_ih" + suffix)));
    const Place hidden = TRY(lowering.cells(*op.operand("weight_hh" + suffix)));
    return Weights{input, hidden, TRY(optional("bias" + suffix)), TRY(optional("input_bias")),
                   TRY(optional("peephole" + suffix))};
  }
};

struct Layer {
  int64_t steps, batch, in, hidden;
  Activation gate, cell, output;  // recurrent_activation, cell_activation, activation
  bool reset_after = false;
  float clip = 0;  // 0: none

  // The sum of what x and h give to `gates` gates from gate `first` on, with biases.
  void gates(const Frame& frame, const Weights& weights, const float* x, const float* h,
             int64_t first, int64_t count, float* out) const {
    const int64_t row = first * hidden, rows = count * hidden;
    std::fill_n(out, rows, 0.0f);
    for (const auto& bias : {weights.bias, weights.input_bias}) {
      for (int64_t i = 0; bias && i < rows; ++i) out[i] += frame.floats(*bias)[row + i];
    }
    add_product(frame.floats(weights.input) + row * in, x, rows, in, out);
    if (h != nullptr) {
      add_product(frame.floats(weights.hidden) + row * hidden, h, rows, hidden, out);
    }
  }
};

// h = activation(W x + U h)
struct RnnCell {
  static constexpr int64_t kGates = 1;
  static void step(const Layer& layer, const Frame& frame, const Weights& weights, const float* x,
                   float* h, float*, float* work) {
    layer.gates(frame, weights, x, h, 0, 1, work);
    std::transform(work, work + layer.hidden, h, layer.output);
  }
};

// Gates in the order reset, output, update: h = (1 - z) * o + z * h. The reset gate acts on h
// before its product or, with reset_after, on the product.
struct GruCell {
  static constexpr int64_t kGates = 5;  // three, and what is reset with its product
  static void step(const Layer& layer, const Frame& frame, const Weights& weights, const float* x,
                   float* h, float*, float* work) {
    const int64_t n = layer.hidden;
    float *reset = work, *output = work + n, *update = work + 2 * n, *state = work + 3 * n,
          *product = work + 4 * n;
    layer.gates(frame, weights, x, h, 0, 1, reset);
    layer.gates(frame, weights, x, h, 2, 1, update);
    std::transform(reset, reset + n, reset, layer.gate);
    std::transform(update, update + n, update, layer.gate);
    Weights of_input = weights;  // what only x gives to the output gate
    if (layer.reset_after) of_input.bias = std::nullopt;
    layer.gates(frame, of_input, x, nullptr, 1, 1, output);
    std::fill_n(product, n, 0.0f);
    for (int64_t i = 0; i < n; ++i) state[i] = layer.reset_after ? h[i] : h[i] * reset[i];
    add_product(frame.floats(weights.hidden) + n * n, state, n, n, product);
    for (int64_t i = 0; i < n; ++i) {
      if (layer.reset_after) {
        const float bias = weights.bias ? frame.floats(*weights.bias)[n + i] : 0;
        product[i] = reset[i] * (product[i] + bias);
      }
      const float candidate = layer.output(output[i] + product[i]);
      h[i] = (1 - update[i]) * candidate + update[i] * h[i];
    }
  }
};

// Gates in the order input, forget, output, cell: c = f * c + i * z, h = o * activation(c).
struct LstmCell {
  static constexpr int64_t kGates = 4;
  static void step(const Layer& layer, const Frame& frame, const Weights& weights, const float* x,
                   float* h, float* c, float* work) {
    const int64_t n = layer.hidden;
    layer.gates(frame, weights, x, h, 0, 4, work);
    const float* peephole = weights.peephole ? frame.floats(*weights.peephole) : nullptr;
    const auto clipped = [&](float v) {
      return layer.clip > 0 ? std::clamp(v, -layer.clip, layer.clip) : v;
    };
    for (int64_t i = 0; i < n; ++i) {
      const auto peek = [&](int64_t gate, float state) {
        return work[gate * n + i] + (peephole != nullptr ? peephole[gate * n + i] * state : 0);
      };
      const float input = layer.gate(peek(0, c[i])), forget = layer.gate(peek(1, c[i]));
      c[i] = clipped(forget * c[i] + input * layer.cell(work[3 * n + i]));
      h[i] = layer.gate(peek(2, c[i])) * layer.output(c[i]);
    }
  }
};

template <class Cell>
Status emit_recurrent(const mil::Op& op, Lowering& lowering) {
  const Shape& shape = op.operand("x")->type.shape;
  Layer layer{shape[0],
              shape[1],
              shape[2],
              op.operand("weight_hh")->type.shape[1],
              TRY(activation_of(op, "recurrent_activation", "sigmoid")),
              TRY(activation_of(op, "cell_activation", "tanh")),
              TRY(activation_of(op, "activation", "tanh"))};
  layer.reset_after = TRY(mil::bool_param(op, "reset_after", false));
  layer.clip = static_cast<float>(TRY(mil::number_param(op, "clip", 0)));
  const std::string direction = TRY(mil::string_param(op, "direction", "forward"));
  const bool all_steps = TRY(mil::bool_param(op, "output_sequence", false));
  std::vector<Weights> directions{TRY(Weights::open(op, lowering, ""))};
  if (direction == "bidirectional") {
    directions.push_back(TRY(Weights::open(op, lowering, "_back")));
  }
  const bool has_cell = op.results.size() > 2;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place initial_h = TRY(lowering.cells(*op.operand("initial_h")));
  const Place initial_c = has_cell ? TRY(lowering.cells(*op.operand("initial_c"))) : initial_h;
  const Place sequence = TRY(lowering.result(*op.results[0]));
  const Place last_h = TRY(lowering.result(*op.results[1]));
  const Place last_c =
      has_cell ? TRY(lowering.result(*op.results[2]))
               : TRY(lowering.scratch(static_cast<uint64_t>(layer.batch * layer.hidden)));
  lowering.thread_scratch(static_cast<uint64_t>(Cell::kGates * layer.hidden * kCellSize));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto count = static_cast<int64_t>(directions.size()), n = layer.hidden;
    const int64_t width = count * n;
    const auto run = [&](int64_t b, int64_t d, int thread) {
      const bool backwards = direction == "reverse" || d == 1;
      float* h = frame.floats(last_h) + b * width + d * n;
      float* c = frame.floats(last_c) + b * width + d * n;
      std::copy_n(frame.floats(initial_h) + b * width + d * n, n, h);
      std::copy_n(frame.floats(initial_c) + b * width + d * n, n, c);
      auto* work = reinterpret_cast<float*>(frame.scratch(thread));
      for (int64_t i = 0; i < layer.steps; ++i) {
        const int64_t t = backwards ? layer.steps - 1 - i : i;
        Cell::step(layer, frame, directions[static_cast<size_t>(d)],
                   frame.floats(x) + (t * layer.batch + b) * layer.in, h, c, work);
        if (all_steps) {
          // Results stand in the order of computation; only those of two directions stand by time.
          const int64_t row = count == 2 ? t : i;
          std::copy_n(h, n, frame.floats(sequence) + (row * layer.batch + b) * width + d * n);
        }
      }
      if (!all_steps) std::copy_n(h, n, frame.floats(sequence) + b * width + d * n);
    };
    frame.pool.parallel_for(layer.batch * count, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) run(i / count, i % count, thread);
    });
    return {};
  });
  return {};
}

}  // namespace

Status lower_rnn(const mil::Op& op, Lowering& lowering) {
  return emit_recurrent<RnnCell>(op, lowering);
}
Status lower_gru(const mil::Op& op, Lowering& lowering) {
  return emit_recurrent<GruCell>(op, lowering);
}
Status lower_lstm(const mil::Op& op, Lowering& lowering) {
  return emit_recurrent<LstmCell>(op, lowering);
}

}  // namespace diptych::engine
