#include "engine/unpack.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "base/bytes.h"
#include "engine/stored_weight.h"
#include "engine/strided.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

using Floats = std::vector<float>;
using Mask = std::shared_ptr<const Floats>;

// Calls visit(element, block) for the elements of a tensor of `shape` in their order, which is
// divided along each axis into as many blocks as `blocks` says.
template <class Visit>
void walk_blocks(const Shape& shape, const Shape& blocks, Visit visit) {
  const Shape block_strides = row_major_strides(blocks), dense = row_major_strides(shape);
  Shape dims;
  std::array<Shape, 2> strides;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t size = shape[i] / blocks[i];
    dims.insert(dims.end(), {blocks[i], size});
    strides[0].insert(strides[0].end(), {size * dense[i], dense[i]});
    strides[1].insert(strides[1].end(), {block_strides[i], 0});
  }
  const StridedLoop<2> loop(dims, strides);
  loop.walk(0, loop.runs(), [&](int64_t, const StridedLoop<2>::Offsets& at) {
    for (int64_t i = 0; i < loop.run_length(); ++i) {
      visit(at[0] + i * loop.steps()[0], at[1] + i * loop.steps()[1]);
    }
  });
}

// data becomes scale * (data - offset); no offsets: 0.
void scale_blocks(Floats& data, const Shape& shape, const Shape& blocks, const Floats& scales,
                  const Floats& offsets) {
  walk_blocks(shape, blocks, [&](int64_t i, int64_t block) {
    const auto b = static_cast<size_t>(block);
    float& element = data[static_cast<size_t>(i)];
    element = scales[b] * (element - (offsets.empty() ? 0.0f : offsets[b]));
  });
}

// The axis that vectors of a table lie along, and how many of a result's elements lie between
// neighbours on it.
struct Vectors {
  int64_t size = 1, stride = 1, inner = 1;  // inner: of the indices
  Shape shape;                              // of the result

  static Result<Vectors> of(const mil::Op& op, const Shape& indices, const Shape& tables) {
    const auto rank = static_cast<int64_t>(indices.size());
    const auto axis = static_cast<size_t>(
        TRY(mil::resolve_axis(TRY(mil::int_param(op, "vector_axis", 0)), rank)));
    Vectors vectors{tables.back(), 1, row_major_strides(indices)[axis], indices};
    vectors.shape[axis] *= vectors.size;
    vectors.stride = row_major_strides(vectors.shape)[axis];
    return vectors;
  }
  // The first element of the vector of an index: those of the axes behind are as they were, and
  // each step along the axis is `size` times as far.
  int64_t first(int64_t index) const { return index / inner * inner * size + index % inner; }
};

class Unpacker {
 public:
  Unpacker(const UnpackOptions& options, uint64_t* overflows)
      : options_(options), overflows_(overflows) {}

  Result<Floats> operator()(const mil::Value& value) {
    TRY(within("%" + value.name, check_size(value.type.shape)));
    if (value.is_constant()) return read_floats(*value.weight);
    if (depth_ == kMostDepth) {
      return unsupported("%{}: more than {} operations on top of each other", value.name,
                         kMostDepth);
    }
    ++depth_;
    auto computed = within("%" + value.name, compute(*value.producer, value));
    --depth_;
    Floats result = TRY(std::move(computed));
    if (options_.numerics == Numerics::Typed && value.type.dtype == DType::F16) {
      *overflows_ += round_to_halves(result.data(), result.size());
    }
    return result;
  }

 private:
  Status check_size(const Shape& shape) const {
    uint64_t bytes = 0;
    if (checked_mul(TRY(element_count(shape)), sizeof(float), &bytes) &&
        bytes <= options_.memory_limit) {
      return {};
    }
    return unsupported("{} elements of a weight are beyond the memory limit of {} bytes",
                       diptych::to_string(shape), options_.memory_limit);
  }

  Result<Floats> part(const mil::Op& op, std::string_view param) {
    const mil::Value* value = op.operand(param);
    if (value == nullptr) return Floats();
    return (*this)(*value);
  }

  Result<Floats> compute(const mil::Op& op, const mil::Value& result) {
    if (op.type == "constexpr_cast") return part(op, "source_val");
    if (op.type == "constexpr_affine_dequantize") return scaled(result);
    if (op.type == "constexpr_blockwise_shift_scale") return shift_scale(op);
    if (op.type == "constexpr_lut_to_dense") return look_up(op, result);
    if (op.type == "constexpr_sparse_to_dense") {
      const Mask mask = TRY(this->mask(op, "mask", result.type.shape));
      return dense(*mask, TRY(part(op, "nonzero_data")));
    }
    if (op.type == "constexpr_lut_to_sparse") return look_up_sparse(op, result);
    if (op.type == "constexpr_sparse_blockwise_shift_scale") return scale_sparse(op, result);
    return unsupported("operation '{}'", op.type);
  }

  // What stored_weight.h sees in the form of iOS 18.
  Result<Floats> scaled(const mil::Value& value) {
    const auto weight = scaled_weight(value);
    if (!weight) return unsupported("operands that are no constants");
    Floats data = TRY(read_floats(*weight->data));
    scale_blocks(data, value.type.shape, weight->scale->shape(), TRY(read_floats(*weight->scale)),
                 TRY(read_floats(*weight->offset)));
    return data;
  }

  Result<Floats> shift_scale(const mil::Op& op) {
    Floats data = TRY(part(op, "data"));
    scale_blocks(data, op.operand("data")->type.shape, op.operand("scale")->type.shape,
                 TRY(part(op, "scale")), TRY(part(op, "offset")));
    return data;
  }

  Result<Floats> look_up(const mil::Op& op, const mil::Value& result) {
    const Shape& lut = op.operand("lut")->type.shape;
    if (op.operand("shape") == nullptr) {
      return expand(op, op.operand("indices")->type.shape, TRY(part(op, "indices")), lut);
    }
    const auto indices =
        TRY(bits_of(op, "indices", index_into(static_cast<uint64_t>(lut[0])), result.type.shape));
    const Floats table = TRY(part(op, "lut"));
    Floats out(indices.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = table[static_cast<size_t>(indices[i])];
    return out;
  }

  // A vector of a table for each index.
  Result<Floats> expand(const mil::Op& op, const Shape& shape, const Floats& indices,
                        const Shape& lut) {
    const Floats tables = TRY(part(op, "lut"));
    const Vectors vectors = TRY(Vectors::of(op, shape, lut));
    TRY(check_size(vectors.shape));
    const Shape blocks(lut.begin(), lut.end() - 2);
    const int64_t entries = lut.end()[-2];
    Floats out(indices.size() * static_cast<size_t>(vectors.size));
    walk_blocks(shape, blocks, [&](int64_t i, int64_t table) {
      const auto index = static_cast<int64_t>(indices[static_cast<size_t>(i)]);
      const float* from = &tables[static_cast<size_t>((table * entries + index) * vectors.size)];
      float* to = &out[static_cast<size_t>(vectors.first(i))];
      for (int64_t v = 0; v < vectors.size; ++v) to[v * vectors.stride] = from[v];
    });
    return out;
  }

  // The first result of a sparse operation is its mask, the second what the mask shows.
  Result<Floats> look_up_sparse(const mil::Op& op, const mil::Value& result) {
    const Shape& shape = op.operand("indices_mask")->type.shape;
    const Shape& lut = op.operand("lut")->type.shape;
    const Mask mask = TRY(this->mask(op, "indices_mask", shape));
    const Vectors vectors = TRY(Vectors::of(op, shape, lut));
    TRY(check_size(vectors.shape));
    Floats all_shown(mask->size() * static_cast<size_t>(vectors.size));
    for (size_t i = 0; i < mask->size(); ++i) {
      float* to = &all_shown[static_cast<size_t>(vectors.first(static_cast<int64_t>(i)))];
      for (int64_t v = 0; v < vectors.size; ++v) to[v * vectors.stride] = (*mask)[i];
    }
    if (result.result_index == 0) return all_shown;
    const Floats indices = TRY(dense(*mask, TRY(part(op, "indices_nonzero_data"))));
    return sparse(all_shown, TRY(expand(op, shape, indices, lut)));
  }

  Result<Floats> scale_sparse(const mil::Op& op, const mil::Value& result) {
    const Shape& shape = op.operand("data_mask")->type.shape;
    const Mask mask = TRY(this->mask(op, "data_mask", shape));
    if (result.result_index == 0) return *mask;
    Floats data = TRY(dense(*mask, TRY(part(op, "nonzero_data"))));
    scale_blocks(data, shape, op.operand("scale")->type.shape, TRY(part(op, "scale")),
                 TRY(part(op, "offset")));
    return sparse(*mask, data);
  }

  // A mask of `shape`: a tensor of bits, or bytes of them. Kept, since operations on top of each
  // other have one mask.
  Result<Mask> mask(const mil::Op& op, std::string_view param, const Shape& shape) {
    const mil::Value* const value = op.operand(param);
    if (const auto known = masks_.find(value); known != masks_.end()) return known->second;
    const bool flat = op.operand("shape") != nullptr;
    Floats read = TRY(flat ? bits_of(op, param, DType::UInt1, shape) : part(op, param));
    auto made = std::make_shared<const Floats>(std::move(read));
    return masks_.emplace(value, std::move(made)).first->second;
  }

  // Flat bytes as elements of a type.
  Result<Floats> bits_of(const mil::Op& op, std::string_view param, DType dtype,
                         const Shape& shape) {
    const mil::Value& value = *op.operand(param);
    if (!value.is_constant()) return unsupported("parameter '{}' that is no constant", param);
    return read_floats(*TRY(as_type(value.weight, {dtype, shape})));
  }

  static Result<Floats> dense(const Floats& mask, const Floats& shown) {
    Floats all(mask.size());
    size_t next = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (mask[i] == 0) continue;
      if (next == shown.size()) break;
      all[i] = shown[next++];
    }
    const auto ones = std::count_if(mask.begin(), mask.end(), [](float m) { return m != 0; });
    if (static_cast<size_t>(ones) == shown.size()) return all;
    return invalid_data("the mask shows {} elements, there are {}", ones, shown.size());
  }

  static Floats sparse(const Floats& mask, const Floats& all) {
    Floats shown;
    for (size_t i = 0; i < all.size(); ++i) {
      if (mask[i] != 0) shown.push_back(all[i]);
    }
    return shown;
  }

  // Real ones have three. It bounds the work, since an operand may be used many times.
  static constexpr int kMostDepth = 5;

  const UnpackOptions options_;
  uint64_t* const overflows_;
  int depth_ = 0;
  std::map<const mil::Value*, Mask> masks_;
};

}  // namespace

Result<std::vector<float>> unpack(const mil::Value& value, const UnpackOptions& options,
                                  uint64_t* overflows) {
  return Unpacker(options, overflows)(value);
}

}  // namespace diptych::engine
