// non_maximum_suppression: of boxes that overlap, the ones with the highest scores.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// By its centre and size.
struct Box {
  float x, y, width, height;

  float area() const { return width * height; }
};

float overlap_1d(float a, float a_size, float b, float b_size) {
  const float high = std::min(a + a_size / 2, b + b_size / 2);
  const float low = std::max(a - a_size / 2, b - b_size / 2);
  return std::max(high - low, 0.0f);
}

// Intersection over union; 0 where neither has an area.
float overlap(const Box& a, const Box& b) {
  const float both =
      overlap_1d(a.x, a.width, b.x, b.width) * overlap_1d(a.y, a.height, b.y, b.height);
  const float either = a.area() + b.area() - both;
  return either > 0 ? both / either : 0.0f;
}

// One batch. A tensor of boxes has a row of `features` elements for each box or, by rows, a row of
// boxes for each feature.
struct Layout {
  int64_t boxes;
  bool by_rows;

  int64_t at(int64_t features, int64_t box, int64_t feature) const {
    return by_rows ? feature * boxes + box : box * features + feature;
  }
};

struct Suppression {
  Layout in, out;
  int64_t classes;
  float iou_threshold, score_threshold;
  bool per_class;

  // The chosen boxes, the highest scores first; of equal scores the first.
  std::vector<int32_t> choose(const float* boxes, const float* scores) const {
    struct Candidate {
      int64_t box, category;
      float score;
    };
    std::vector<Candidate> candidates;
    for (int64_t box = 0; box < in.boxes; ++box) {
      Candidate best{box, 0, scores[in.at(classes, box, 0)]};
      for (int64_t c = 1; c < classes; ++c) {
        const float score = scores[in.at(classes, box, c)];
        if (score > best.score) best = {box, c, score};
      }
      if (best.score >= score_threshold) candidates.push_back(best);
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    std::vector<Candidate> chosen;
    for (const Candidate& candidate : candidates) {
      if (std::ssize(chosen) == out.boxes) break;
      const Box box = box_at(boxes, candidate.box);
      const bool hidden = std::any_of(chosen.begin(), chosen.end(), [&](const Candidate& kept) {
        return (!per_class || kept.category == candidate.category) &&
               overlap(box, box_at(boxes, kept.box)) > iou_threshold;
      });
      if (!hidden) chosen.push_back(candidate);
    }
    std::vector<int32_t> indices;
    for (const Candidate& candidate : chosen) {
      indices.push_back(static_cast<int32_t>(candidate.box));
    }
    return indices;
  }

 private:
  Box box_at(const float* boxes, int64_t box) const {
    const auto part = [&](int64_t i) { return boxes[in.at(4, box, i)]; };
    return {part(0), part(1), part(2), part(3)};
  }
};

}  // namespace

// Behind the chosen boxes, coordinates and scores are 0 and indices -1.
Status lower_non_maximum_suppression(const mil::Op& op, Lowering& lowering) {
  const Shape& shape = op.operand("scores")->type.shape;
  const bool by_rows = op.results.size() == 3;
  const int64_t batches = shape[0], boxes = shape[by_rows ? 2 : 1],
                most = TRY(mil::int_param(op, "max_boxes"));
  const Suppression suppression{
      {boxes, by_rows},
      {most, by_rows},
      shape[by_rows ? 1 : 2],
      static_cast<float>(TRY(mil::number_param(op, "iou_threshold"))),
      static_cast<float>(TRY(mil::number_param(op, "score_threshold", -HUGE_VAL))),
      TRY(mil::bool_param(op, "per_class_suppression", false))};
  const Place from = TRY(lowering.cells(*op.operand("boxes")));
  const Place scores = TRY(lowering.cells(*op.operand("scores")));
  std::vector<Place> results;
  for (const mil::Value* result : op.results) results.push_back(TRY(lowering.result(*result)));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto one = [&](int64_t batch) {
      const float* their_boxes = frame.floats(from) + batch * boxes * 4;
      const float* their_scores = frame.floats(scores) + batch * boxes * suppression.classes;
      const std::vector<int32_t> chosen = suppression.choose(their_boxes, their_scores);
      const auto copy = [&](const float* values, int64_t features, Place to) {
        float* out = frame.floats(to) + batch * most * features;
        std::fill_n(out, most * features, 0.0f);
        for (int64_t i = 0; i < std::ssize(chosen); ++i) {
          for (int64_t f = 0; f < features; ++f) {
            out[suppression.out.at(features, i, f)] =
                values[suppression.in.at(features, chosen[static_cast<size_t>(i)], f)];
          }
        }
      };
      copy(their_boxes, 4, results[0]);
      copy(their_scores, suppression.classes, results[1]);
      int32_t* indices = frame.ints(results[2]) + batch * most;
      std::fill(std::copy(chosen.begin(), chosen.end(), indices), indices + most, -1);
      if (!by_rows) frame.ints(results[3])[batch] = static_cast<int32_t>(chosen.size());
    };
    frame.pool.parallel_for(batches, 1, [&](int64_t begin, int64_t end) {
      for (int64_t batch = begin; batch < end; ++batch) one(batch);
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
