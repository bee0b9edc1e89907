// Type inference of the operations that choose: among boxes, among classes.
#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// Boxes [n, boxes, 4] and scores [n, boxes, classes], or with the last two axes exchanged.
Result<Types> infer(const Op& op, size_t box_axis) {
  const size_t other = 3 - box_axis;
  const TensorType &boxes = type_of(op, "boxes"), &scores = type_of(op, "scores");
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.shape[other] != 4 ||
      boxes.shape[0] != scores.shape[0] || boxes.shape[box_axis] != scores.shape[box_axis]) {
    return invalid_data("boxes are {} and scores {}: expected {}", to_string(boxes),
                        to_string(scores),
                        box_axis == 1 ? "[n, boxes, 4] and [n, boxes, classes]"
                                      : "[n, 4, boxes] and [n, classes, boxes]");
  }
  TRY(number_param(op, "iou_threshold"));
  TRY(number_param(op, "score_threshold", 0));
  TRY(bool_param(op, "per_class_suppression", false));
  const int64_t most = TRY(int_param(op, "max_boxes"));
  if (most < 1) return invalid_data("parameter 'max_boxes': {}", most);
  TensorType chosen = boxes, their_scores = scores;
  chosen.shape[box_axis] = their_scores.shape[box_axis] = most;
  return Types{std::move(chosen), std::move(their_scores),
               TensorType{DType::Int32, {boxes.shape[0], most}}};
}

}  // namespace

// The number of the likeliest class, and the probability of each. What the classes are called is no
// business of the program's (coreml/model.h).
Result<Types> infer_classify(const Op& op) {
  const TensorType& type = type_of(op, "probabilities");
  const auto count = static_cast<int64_t>(TRY(element_count(type.shape)));
  return Types{TensorType{DType::Int32, {}}, TensorType{type.dtype, {count}}};
}

Result<Types> infer_non_maximum_suppression(const Op& op) {
  Types types = TRY(infer(op, 1));
  types.push_back({DType::Int32, {type_of(op, "boxes").shape[0]}});
  return types;
}

Result<Types> infer_suppression_by_rows(const Op& op) { return infer(op, 2); }

}  // namespace diptych::mil
