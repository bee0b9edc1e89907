#include "compare/weights.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "engine/executable.h"
#include "engine/weight_rows.h"

namespace diptych::compare {

namespace {

bool is_weight(const mil::Value& value) {
  if (value.is_constant()) {
    return value.weight != nullptr && is_float(value.type.dtype) && value.weight->elements() > 1;
  }
  return mil::is_constant_expression(value);
}

bool is_zero(const mil::Value& value) {
  if (!value.is_constant()) return false;
  const auto elements = read_floats(*value.weight);
  return elements &&
         std::all_of(elements->begin(), elements->end(), [](float e) { return e == 0; });
}

// What a dequantised weight's codes are.
const mil::Value* codes_of(const mil::Value& weight) {
  if (weight.producer == nullptr) return nullptr;
  for (const std::string_view param : {"data", "indices", "quantized_data", "nonzero_data"}) {
    if (const mil::Value* codes = weight.producer->operand(param)) return codes;
  }
  return nullptr;
}

// The whole weight, by running the operation that makes it.
Result<std::vector<float>> computed(const mil::Value& weight) {
  mil::Function function("weight");
  std::vector<mil::Operand> operands = weight.producer->operands;
  for (mil::Operand& operand : operands) {
    for (mil::Value*& value : operand.values) {
      if (!value->is_constant()) return unsupported("'{}' is made in several steps", weight.name);
      value = value->weight ? function.add_constant(value->name, value->weight)
                            : function.add_string(value->name, value->text);
    }
  }
  const mil::Op* op =
      function.add_op(weight.producer->type, std::move(operands), {{"weight", weight.type}});
  // A weight is no output: what passes it on is.
  mil::Value* zero = function.add_constant("zero", constant_floats(weight.type.dtype, {}, {0}));
  function.outputs = {
      function.add_op("add", {{"x", {op->result()}}, {"y", {zero}}}, {{"out", weight.type}})
          ->result()};
  engine::ExecutableOptions options;
  options.weights_by_rows = false;
  options.fuse = false;
  options.wide_ports = true;
  auto execution =
      TRY(engine::Execution::create(TRY(engine::Executable::compile(function, options))));
  std::vector<float> elements(TRY(element_count(weight.type.shape)));
  TRY(execution->bind_output(0, elements.data(), execution->executable().outputs()[0].type));
  ThreadPool pool(1);
  TRY(execution->run(pool));
  return elements;
}

// Rows of the pieces of a weight.
class Reader {
 public:
  static Result<Reader> open(const WeightOf& weight) {
    Reader reader;
    for (const mil::Value* piece : weight.pieces) {
      Piece opened;
      opened.rows = piece->type.shape.empty() ? 1 : piece->type.shape[0];
      opened.width = static_cast<size_t>(TRY(element_count(piece->type.shape))) /
                     static_cast<size_t>(std::max<int64_t>(opened.rows, 1));
      opened.by_rows = engine::WeightRows::open(*piece, engine::Numerics::Precise);
      if (!opened.by_rows) {
        opened.whole =
            piece->is_constant() ? TRY(read_floats(*piece->weight)) : TRY(computed(*piece));
      }
      reader.width_ = opened.width;
      reader.pieces_.push_back(std::move(opened));
    }
    return reader;
  }

  size_t width() const { return width_; }

  Status read(int64_t row, std::vector<float>& out) const {
    out.resize(width_);
    for (const Piece& piece : pieces_) {
      if (row >= piece.rows) {
        row -= piece.rows;
        continue;
      }
      if (!piece.by_rows) {
        std::copy_n(&piece.whole[static_cast<size_t>(row) * width_], width_, out.data());
        return {};
      }
      constexpr size_t kAligned = 64;
      std::vector<std::byte> memory(piece.by_rows->scratch_size() + kAligned);
      const auto address = reinterpret_cast<uintptr_t>(memory.data());
      uint64_t overflows = 0;
      return piece.by_rows->read(
          row, out.data(), memory.data() + (kAligned - address % kAligned) % kAligned, &overflows);
    }
    return fail(ErrorCode::Internal, "no row {}", row);
  }

 private:
  struct Piece {
    int64_t rows = 0;
    size_t width = 0;
    std::optional<engine::WeightRows> by_rows;
    std::vector<float> whole;
  };
  std::vector<Piece> pieces_;
  size_t width_ = 0;
};

}  // namespace

int64_t WeightOf::rows() const {
  int64_t rows = 0;
  for (const mil::Value* piece : pieces)
    rows += piece->type.shape.empty() ? 1 : piece->type.shape[0];
  return rows;
}

std::vector<WeightOf> weights_of(const Node& node) {
  std::vector<WeightOf> weights;
  if (!node.pieces.empty()) {
    for (const std::string_view param : {"weight", "bias"}) {
      WeightOf weight;
      weight.param = param;
      for (const mil::Op* piece : node.pieces) {
        const mil::Value* value = piece->operand(param);
        if (value != nullptr && is_weight(*value)) weight.pieces.push_back(value);
      }
      if (weight.pieces.size() != node.pieces.size()) continue;
      if (param == "bias" && std::all_of(weight.pieces.begin(), weight.pieces.end(),
                                         [](const auto* piece) { return is_zero(*piece); })) {
        continue;
      }
      weights.push_back(std::move(weight));
    }
    return weights;
  }
  for (const Node::Operand& operand : node.operands) {
    if (operand.kind == Node::Operand::Kind::Constant && is_weight(*operand.value)) {
      weights.push_back({operand.param, {operand.value}});
    }
  }
  return weights;
}

int stored_bits(const mil::Value& weight) {
  const mil::Value* codes = codes_of(weight);
  return bit_width(codes == nullptr ? weight.type.dtype : codes->type.dtype);
}

uint64_t stored_bytes(const mil::Value& weight) {
  if (weight.is_constant()) return packed_size(weight.type).value_or(0);
  uint64_t bytes = 0;
  for (const mil::Operand& operand : weight.producer->operands) {
    for (const mil::Value* value : operand.values) bytes += packed_size(value->type).value_or(0);
  }
  return bytes;
}

std::string form_of(const mil::Value& weight) {
  const mil::Value* codes = codes_of(weight);
  if (codes == nullptr) return std::string(name(weight.type.dtype));
  const mil::Op& op = *weight.producer;
  const mil::Value* lut = op.operand("lut");
  const mil::Value* scale = op.operand("scale");
  if (lut != nullptr) return fmt::format("{}-bit palette", bit_width(codes->type.dtype));
  std::string text(name(codes->type.dtype));
  if (scale == nullptr || scale->type.rank() != codes->type.rank() || scale->type.shape.empty()) {
    return text;
  }
  const int64_t scales = scale->type.shape.back(), width = codes->type.shape.back();
  if (scales == 1) return text + " per row";
  return fmt::format("{} in groups of {}", text, width / std::max<int64_t>(scales, 1));
}

Result<WeightDistance> distance(const WeightOf& a, const WeightOf& b, ThreadPool& pool) {
  const Reader one = TRY(Reader::open(a)), two = TRY(Reader::open(b));
  if (a.rows() != b.rows() || one.width() != two.width()) {
    return invalid_argument("'{}' is {} by {}, '{}' {} by {}", a.name(), a.rows(), one.width(),
                            b.name(), b.rows(), two.width());
  }
  struct Sums {
    double difference = 0, a = 0, b = 0, worst = -1;
    int64_t worst_row = 0;
  } sums;
  std::mutex mutex;
  Status status;
  pool.parallel_for(a.rows(), 16, [&](int64_t begin, int64_t end) {
    Sums part;
    Status read;
    std::vector<float> x, y;
    for (int64_t row = begin; row < end && read; ++row) {
      read = one.read(row, x);
      if (read) read = two.read(row, y);
      if (!read) break;
      double difference = 0, of_b = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double p = static_cast<double>(x[i]), q = static_cast<double>(y[i]);
        difference += (p - q) * (p - q);
        part.a += p * p;
        of_b += q * q;
      }
      part.difference += difference;
      part.b += of_b;
      const double relative = difference / std::max(of_b, 1e-30);
      if (relative > part.worst) {
        part.worst = relative;
        part.worst_row = row;
      }
    }
    const std::lock_guard lock(mutex);
    if (!read && status) status = std::move(read);
    sums.difference += part.difference;
    sums.a += part.a;
    sums.b += part.b;
    if (part.worst > sums.worst) {
      sums.worst = part.worst;
      sums.worst_row = part.worst_row;
    }
  });
  TRY(std::move(status));
  WeightDistance result;
  result.relative = sums.difference == 0 ? 0 : std::sqrt(sums.difference / std::max(sums.b, 1e-30));
  if (!std::isfinite(sums.difference)) result.relative = INFINITY;
  result.ratio = std::sqrt(sums.a / std::max(sums.b, 1e-30));
  result.worst_row = sums.worst_row;
  return result;
}

}  // namespace diptych::compare
