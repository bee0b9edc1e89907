// Type inference of the operations that resample images: the last two axes.
#include <algorithm>
#include <cmath>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// An error unless a text parameter has one of the values.
Status check_choice(const Op& op, std::string_view param, std::string_view fallback,
                    std::initializer_list<std::string_view> known) {
  const std::string found = TRY(string_param(op, param, std::string(fallback)));
  if (std::find(known.begin(), known.end(), found) != known.end()) return {};
  return unsupported("parameter '{}': unknown value \"{}\"", param, found);
}

Status check_sampling_mode(const Op& op) {
  return check_choice(
      op, "sampling_mode", "DEFAULT",
      {"DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"});
}

Status check_rank(std::string_view param, const TensorType& type, int64_t least, int64_t most) {
  if (type.rank() >= least && type.rank() <= most) return {};
  return invalid_data("{} is {}: expected rank {}{}", param, to_string(type), least,
                      least == most ? "" : " or more");
}

// A size that a parameter gives, at least 1.
Result<int64_t> size_param(const Op& op, std::string_view param, int64_t fallback) {
  const int64_t size = TRY(int_param(op, param, fallback));
  if (size < 1) return invalid_data("parameter '{}': expected 1 or more, found {}", param, size);
  return size;
}

}  // namespace

Result<Types> infer_upsample(const Op& op) {
  TensorType result = type_of(op, "x");
  TRY(check_rank("x", result, 3, kMaxRank));
  TRY(bool_param(op, "align_corners", true));
  TRY(bool_param(op, "half_pixel_centers", true));
  for (const auto& [param, from_end] :
       {std::pair{"scale_factor_height", 2}, std::pair{"scale_factor_width", 1}}) {
    int64_t& dim = result.shape.end()[-from_end];
    const double size = std::floor(TRY(number_param(op, param, 1)) * static_cast<double>(dim));
    if (!(size >= 1 && size < 0x1p31)) {
      return invalid_data("parameter '{}': an axis of {} would have the size {}", param, dim, size);
    }
    dim = static_cast<int64_t>(size);
  }
  return Types{std::move(result)};
}

Result<Types> infer_resize_to(const Op& op) {
  TensorType result = type_of(op, "x");
  TRY(check_rank("x", result, 3, kMaxRank));
  TRY(check_sampling_mode(op));
  result.shape.end()[-2] = TRY(size_param(op, "target_size_height", 1));
  result.shape.end()[-1] = TRY(size_param(op, "target_size_width", 1));
  return Types{std::move(result)};
}

Result<Types> infer_resize(const Op& op) {
  TensorType result = type_of(op, "x");
  const auto shape = TRY(ints_param(op, "shape"));
  const int64_t resized = TRY(int_param(op, "resized_dims"));
  const auto given = static_cast<int64_t>(shape.size());
  if (resized < 0 || resized > given || given > result.rank()) {
    return invalid_data("resized_dims {} of shape [{}] for x {}", resized, given,
                        to_string(result));
  }
  if (resized > 2) return unsupported("resized_dims {}, expected at most 2", resized);
  for (int64_t i = 1; i <= resized; ++i) {  // 0 keeps the size that there is
    if (const int64_t size = shape.end()[-i]; size != 0) result.shape.end()[-i] = size;
  }
  TRY(check_choice(op, "interpolation_mode", "LINEAR", {"LINEAR", "NEAREST_NEIGHBOR"}));
  TRY(check_sampling_mode(op));
  return Types{std::move(result)};
}

// roi [n, 1, 4 or 5, 1, 1] gives [n, b or 1, c, height, width]; boxes [n, 4] give [n, c, …].
Result<Types> infer_crop_resize(const Op& op) {
  const TensorType& x = type_of(op, "x");
  TRY(check_rank("x", x, 4, 4));
  TRY(check_sampling_mode(op));
  TRY(check_choice(op, "box_coordinate_mode", "CORNERS_HEIGHT_FIRST",
                   {"CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST",
                    "CENTER_SIZE_WIDTH_FIRST"}));
  TRY(bool_param(op, "normalized_coordinates", false));
  TRY(number_param(op, "spatial_scale", 1));
  TRY(number_param(op, "pad_value", 0));
  const int64_t height = TRY(size_param(op, "target_height", 1));
  const int64_t width = TRY(size_param(op, "target_width", 1));
  if (op.operand("roi") != nullptr) {
    const Shape& roi = type_of(op, "roi").shape;
    const bool fits = roi.size() == 5 && roi[1] == 1 && (roi[2] == 4 || roi[2] == 5) &&
                      roi[3] == 1 && roi[4] == 1;
    if (!fits) return invalid_data("roi is {}: expected [n, 1, 4 or 5, 1, 1]", to_string(roi));
    const int64_t images = roi[2] == 4 ? x.shape[0] : 1;
    return Types{TensorType{x.dtype, {roi[0], images, x.shape[1], height, width}}};
  }
  const Shape& boxes = type_of(op, "boxes").shape;
  if (boxes.size() != 2 || boxes[1] != 4) {
    return invalid_data("boxes is {}: expected [n, 4]", to_string(boxes));
  }
  const Value* indices = op.operand("box_indices");
  if (indices == nullptr ? boxes[0] > x.shape[0] : indices->type.shape != Shape{boxes[0]}) {
    return invalid_data("{} boxes of {} images: expected box_indices [{}]", boxes[0], x.shape[0],
                        boxes[0]);
  }
  return Types{TensorType{x.dtype, {boxes[0], x.shape[1], height, width}}};
}

Result<Types> infer_resample(const Op& op) {
  const TensorType &x = type_of(op, "x"), &coordinates = type_of(op, "coordinates");
  TRY(check_rank("x", x, 4, 4));
  TRY(check_rank("coordinates", coordinates, 4, 4));
  if (coordinates.shape[0] != x.shape[0] || coordinates.shape[3] != 2) {
    return invalid_data("coordinates is {}: expected [{}, height, width, 2]",
                        to_string(coordinates), x.shape[0]);
  }
  TRY(check_choice(op, "sampling_mode", "", {"bilinear", "nearest"}));
  TRY(check_choice(op, "padding_mode", "", {"constant", "border", "reflection", "symmetric"}));
  TRY(check_choice(op, "coordinates_mode", "",
                   {"unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one"}));
  TRY(number_param(op, "padding_value"));
  TRY(bool_param(op, "align_corners", false));
  return Types{
      TensorType{x.dtype, {x.shape[0], x.shape[1], coordinates.shape[1], coordinates.shape[2]}}};
}

Result<Types> infer_affine(const Op& op) {
  const TensorType &x = type_of(op, "x"), &matrix = type_of(op, "transform_matrix");
  TRY(check_rank("x", x, 4, 4));
  if (matrix.rank() != 2 || matrix.shape[1] != 6 ||
      (matrix.shape[0] != 1 && matrix.shape[0] != x.shape[0])) {
    return invalid_data("transform_matrix is {}: expected [1 or {}, 6]", to_string(matrix),
                        x.shape[0]);
  }
  TRY(check_choice(op, "sampling_mode", "", {"bilinear"}));
  TRY(check_choice(op, "padding_mode", "", {"constant"}));
  TRY(check_choice(op, "coordinates_mode", "", {"normalized_minus_one_to_one"}));
  if (TRY(number_param(op, "padding_value")) != 0) return unsupported("a padding_value but 0");
  if (!TRY(bool_param(op, "align_corners", true))) return unsupported("align_corners false");
  return Types{TensorType{x.dtype,
                          {x.shape[0], x.shape[1], TRY(size_param(op, "output_height", 1)),
                           TRY(size_param(op, "output_width", 1))}}};
}

}  // namespace diptych::mil
