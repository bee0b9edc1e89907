// Resampling of images, the last two axes of x. Every operation says where each row and column of
// the result lies in the image (a point, in fractions of pixels); bilinear interpolation or the
// nearest pixel gives its value.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/indices.h"
#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kResizeGrain = 1 << 12;  // elements worth a thread of their own

enum class Sampling : uint8_t {
  StrictAlignCorners,
  AlignCorners,
  Default,
  OffsetCorners,
  UnalignCorners
};

// Which pixels give the value of a point: those around it, the one before it, or the nearest.
enum class Pixel : uint8_t { Around, Before, Nearest };

Result<Sampling> sampling_mode(const mil::Op& op) {
  const std::string name = TRY(mil::string_param(op, "sampling_mode", "DEFAULT"));
  if (name == "STRICT_ALIGN_CORNERS") return Sampling::StrictAlignCorners;
  if (name == "ALIGN_CORNERS") return Sampling::AlignCorners;
  if (name == "OFFSET_CORNERS") return Sampling::OffsetCorners;
  if (name == "UNALIGN_CORNERS") return Sampling::UnalignCorners;
  return Sampling::Default;
}

// Where the i-th of n points lies that are taken from the pixels `first` to `last`.
double grid_point(Sampling sampling, double first, double last, int64_t i, int64_t n) {
  const double distance = last - first, count = static_cast<double>(n);
  const double place = static_cast<double>(i);
  switch (sampling) {
    case Sampling::AlignCorners:
      if (n == 1) return first + distance / 2;
      [[fallthrough]];
    case Sampling::StrictAlignCorners:
      return n == 1 ? first : first + place * distance / (count - 1);
    case Sampling::OffsetCorners: {
      const double delta = std::max(1.0, distance) / count;
      return first + (0.5 + place) * delta;
    }
    case Sampling::UnalignCorners:
      return first + (place + 0.5) * (distance + 1) / count - 0.5;
    default:
      return first + place * (distance + 1) / count;
  }
}

// The i-th of `out` points of a whole axis of `in` pixels, inside of it.
double axis_point(Sampling sampling, int64_t in, int64_t i, int64_t out) {
  const auto last = static_cast<double>(in - 1);
  return std::clamp(grid_point(sampling, 0, last, i, out), 0.0, last);
}

// An image of float or int32_t pixels.
template <class T>
struct Image {
  const T* pixels;
  int64_t height, width;

  double at(int64_t row, int64_t column) const {
    return static_cast<double>(pixels[row * width + column]);
  }
  // Both inside [0, size - 1].
  double bilinear(double y, double x) const {
    const auto row = static_cast<int64_t>(y), column = static_cast<int64_t>(x);
    const int64_t below = std::min(row + 1, height - 1), right = std::min(column + 1, width - 1);
    const double v = y - static_cast<double>(row), u = x - static_cast<double>(column);
    const auto between = [](double a, double b, double t) { return t == 0 ? a : a + (b - a) * t; };
    return between(between(at(row, column), at(row, right), u),
                   between(at(below, column), at(below, right), u), v);
  }
};

// Emits the step that fills each image of the result from that of x at the same place.
template <class T>
Status emit_resize_of(const mil::Op& op, Lowering& lowering, Sampling sampling, Pixel pixel) {
  const Shape &from = op.operand("x")->type.shape, &to = op.result()->type.shape;
  const int64_t in_height = from.size() < 2 ? 1 : from.end()[-2], in_width = from.back();
  const int64_t height = to.size() < 2 ? 1 : to.end()[-2], width = to.back();
  const auto images = static_cast<int64_t>(TRY(element_count(from))) / (in_height * in_width);
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto grain = std::max<int64_t>(kResizeGrain / width, 1);
    frame.pool.parallel_for(images * height, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Image<T> image{
            reinterpret_cast<const T*>(frame.bytes(x)) + i / height * in_height * in_width,
            in_height, in_width};
        const double y = axis_point(sampling, in_height, i % height, height);
        T* out = reinterpret_cast<T*>(frame.bytes(result)) + i * width;
        for (int64_t column = 0; column < width; ++column) {
          const double u = axis_point(sampling, in_width, column, width);
          const double up = pixel == Pixel::Nearest ? 0.5 : 0.0;
          *out++ = static_cast<T>(pixel == Pixel::Around ? image.bilinear(y, u)
                                                         : image.at(static_cast<int64_t>(y + up),
                                                                    static_cast<int64_t>(u + up)));
        }
      }
    });
    return {};
  });
  return {};
}

Status emit_resize(const mil::Op& op, Lowering& lowering, Sampling sampling, Pixel pixel) {
  const bool floats = is_float(op.result()->type.dtype);
  return floats ? emit_resize_of<float>(op, lowering, sampling, pixel)
                : emit_resize_of<int32_t>(op, lowering, sampling, pixel);
}

// The pixels that a box spans along one axis.
struct Span {
  double first, last;
};
struct Box {
  Span rows, columns;
};

// How the four numbers of a box are meant.
struct BoxReader {
  bool height_first, is_center, normalized;
  double scale;

  static Result<BoxReader> open(const mil::Op& op) {
    const std::string mode =
        TRY(mil::string_param(op, "box_coordinate_mode", "CORNERS_HEIGHT_FIRST"));
    return BoxReader{mode.ends_with("HEIGHT_FIRST"), mode.starts_with("CENTER_SIZE"),
                     TRY(mil::bool_param(op, "normalized_coordinates", false)),
                     TRY(mil::number_param(op, "spatial_scale", 1))};
  }
  Box read(std::array<double, 4> numbers, int64_t height, int64_t width) const {
    if (!height_first) {
      std::swap(numbers[0], numbers[1]);
      std::swap(numbers[2], numbers[3]);
    }
    const auto span = [&](double a, double b, int64_t size) {
      const double factor = scale * (normalized ? static_cast<double>(size - 1) : 1.0);
      if (is_center) return Span{(a - b / 2) * factor, (a + b / 2) * factor};
      return Span{a * factor, b * factor};
    };
    return {span(numbers[0], numbers[2], height), span(numbers[1], numbers[3], width)};
  }
};

}  // namespace

Status lower_upsample(const mil::Op& op, Lowering& lowering) {
  const bool nearest = op.type == "upsample_nearest_neighbor";
  const bool aligned = !nearest && TRY(mil::bool_param(op, "align_corners", true));
  const bool centered = !nearest && TRY(mil::bool_param(op, "half_pixel_centers", !aligned));
  return emit_resize(op, lowering,
                     aligned    ? Sampling::StrictAlignCorners
                     : centered ? Sampling::UnalignCorners
                                : Sampling::Default,
                     nearest ? Pixel::Before : Pixel::Around);
}

Status lower_resize(const mil::Op& op, Lowering& lowering) {
  Pixel pixel = op.type == "resize_nearest_neighbor" ? Pixel::Before : Pixel::Around;
  if (TRY(mil::string_param(op, "interpolation_mode", "LINEAR")) == "NEAREST_NEIGHBOR") {
    pixel = Pixel::Nearest;
  }
  return emit_resize(op, lowering, TRY(sampling_mode(op)), pixel);
}

// A crop of an image for each box. Points outside of the image have the pad value.
Status lower_crop_resize(const mil::Op& op, Lowering& lowering) {
  const Shape shape = op.operand("x")->type.shape, to = op.result()->type.shape;
  const mil::Value& boxes_value = *op.operand(op.operand("roi") != nullptr ? "roi" : "boxes");
  const mil::Value* indices_value = op.operand("box_indices");
  const Sampling sampling = TRY(sampling_mode(op));
  const BoxReader reader = TRY(BoxReader::open(op));
  const auto outside = static_cast<float>(TRY(mil::number_param(op, "pad_value", 0)));
  const int64_t count = boxes_value.type.shape[0];
  const int64_t numbers = boxes_value.type.shape[op.operand("roi") != nullptr ? 2 : 1];
  const int64_t images = op.operand("roi") != nullptr ? to[1] : 1;  // for each box
  const bool float_boxes = is_float(boxes_value.type.dtype);
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place boxes = TRY(lowering.cells(boxes_value));
  const std::optional<Place> indices =
      indices_value == nullptr ? std::nullopt : std::optional(TRY(lowering.cells(*indices_value)));
  const bool all_images = op.operand("roi") != nullptr && numbers == 4;
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int64_t channels = shape[1], height = shape[2], width = shape[3];
    const int64_t rows = to.end()[-2], columns = to.end()[-1];
    const auto number = [&](int64_t i) {
      return float_boxes ? static_cast<double>(frame.floats(boxes)[i])
                         : static_cast<double>(frame.ints(boxes)[i]);
    };
    const auto crop = [&](int64_t i, int64_t, int) -> Status {
      const int64_t box = i / images;
      const int64_t at = box * numbers + (numbers - 4);
      // The image: named by the box, by a list, or as many as there are.
      double index = static_cast<double>(all_images ? i % images : box);
      if (indices) index = frame.ints(*indices)[box];
      if (numbers == 5) index = number(box * numbers);
      if (!(index >= 0 && index < static_cast<double>(shape[0]))) {
        return invalid_argument("box {}: image {} is outside [0, {})", box, index, shape[0]);
      }
      const Box spans =
          reader.read({number(at), number(at + 1), number(at + 2), number(at + 3)}, height, width);
      for (int64_t c = 0; c < channels; ++c) {
        const Image<float> image{
            frame.floats(x) + (static_cast<int64_t>(index) * channels + c) * height * width, height,
            width};
        float* out = frame.floats(result) + (i * channels + c) * rows * columns;
        for (int64_t r = 0; r < rows; ++r) {
          const double y = grid_point(sampling, spans.rows.first, spans.rows.last, r, rows);
          for (int64_t k = 0; k < columns; ++k) {
            const double u =
                grid_point(sampling, spans.columns.first, spans.columns.last, k, columns);
            const bool inside = y >= 0 && y <= static_cast<double>(height - 1) && u >= 0 &&
                                u <= static_cast<double>(width - 1);
            *out++ = inside ? static_cast<float>(image.bilinear(y, u)) : outside;
          }
        }
      }
      return {};
    };
    return parallel_status(frame.pool, count * images, 1,
                           [&](int64_t begin, int64_t end, int thread) -> Status {
                             for (int64_t i = begin; i < end; ++i) TRY(crop(i, i, thread));
                             return {};
                           });
  });
  return {};
}

namespace {

enum class Border : uint8_t { Constant, Clamped, Reflected, Symmetric };

Result<Border> border_mode(const mil::Op& op) {
  const std::string name = TRY(mil::string_param(op, "padding_mode"));
  if (name == "border") return Border::Clamped;
  if (name == "reflection") return Border::Reflected;
  return name == "symmetric" ? Border::Symmetric : Border::Constant;
}

// A point folded into [low, high], as by mirrors there.
double folded(double point, double low, double high) {
  const double size = high - low;
  if (!(size > 0)) return low;
  const double rest = std::fmod(std::abs(point - low), 2 * size);
  return low + (rest > size ? 2 * size - rest : rest);
}

// How coordinates are meant and what lies outside of the image.
struct Resampler {
  Border border;
  bool nearest, align_corners, normalized, from_zero;
  float outside;

  // A coordinate as a point along an axis.
  double point(double coordinate, int64_t size) const {
    const auto n = static_cast<double>(size);
    double place = coordinate;
    if (normalized) {
      const double unit = from_zero ? coordinate : (coordinate + 1) / 2;
      place = align_corners ? unit * (n - 1) : unit * n - 0.5;
    }
    if (border == Border::Reflected) place = folded(place, 0, n - 1);
    if (border == Border::Symmetric) place = folded(place, -0.5, n - 0.5);
    return border == Border::Constant ? place : std::clamp(place, 0.0, n - 1);
  }
  float sample(const Image<float>& image, double y, double x) const {
    if (!(std::abs(y) < 0x1p52 && std::abs(x) < 0x1p52)) return outside;
    if (nearest) return static_cast<float>(pixel(image, std::nearbyint(y), std::nearbyint(x)));
    const double row = std::floor(y), column = std::floor(x), v = y - row, u = x - column;
    const double above = pixel(image, row, column) * (1 - u) + pixel(image, row, column + 1) * u;
    const double below =
        pixel(image, row + 1, column) * (1 - u) + pixel(image, row + 1, column + 1) * u;
    return static_cast<float>(above * (1 - v) + below * v);
  }

 private:
  double pixel(const Image<float>& image, double row, double column) const {
    const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
    if (border != Border::Constant) {
      row = std::clamp(row, 0.0, height - 1);
      column = std::clamp(column, 0.0, width - 1);
    }
    if (row < 0 || row >= height || column < 0 || column >= width) return outside;
    return image.at(static_cast<int64_t>(row), static_cast<int64_t>(column));
  }
};

// Emits the step that samples x at the coordinates {x, y} that `coordinates(frame, image, row,
// column)` gives.
template <class Coordinates>
Status emit_resample(const mil::Op& op, Lowering& lowering, const Resampler& resampler,
                     Coordinates coordinates) {
  const Shape from = op.operand("x")->type.shape, to = op.result()->type.shape;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int64_t channels = from[1], height = from[2], width = from[3];
    const int64_t rows = to[2], columns = to[3];
    const auto grain = std::max<int64_t>(kResizeGrain / columns, 1);
    frame.pool.parallel_for(from[0] * rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / rows, row = i % rows;
        for (int64_t column = 0; column < columns; ++column) {
          const auto [u, v] = coordinates(frame, n, row, column);
          const double px = resampler.point(u, width), py = resampler.point(v, height);
          for (int64_t c = 0; c < channels; ++c) {
            const int64_t plane = n * channels + c;
            const Image<float> image{frame.floats(x) + plane * height * width, height, width};
            frame.floats(result)[(plane * rows + row) * columns + column] =
                resampler.sample(image, py, px);
          }
        }
      }
    });
    return {};
  });
  return {};
}

}  // namespace

Status lower_resample(const mil::Op& op, Lowering& lowering) {
  const std::string mode = TRY(mil::string_param(op, "coordinates_mode"));
  const Resampler resampler{TRY(border_mode(op)),
                            TRY(mil::string_param(op, "sampling_mode")) == "nearest",
                            TRY(mil::bool_param(op, "align_corners", false)),
                            mode != "unnormalized",
                            mode == "normalized_zero_to_one",
                            static_cast<float>(TRY(mil::number_param(op, "padding_value")))};
  const mil::Value& value = *op.operand("coordinates");
  const bool floats = is_float(value.type.dtype);
  const Place coordinates = TRY(lowering.cells(value));
  return emit_resample(op, lowering, resampler,
                       [=, rows = value.type.shape[1], columns = value.type.shape[2]](
                           const Frame& frame, int64_t n, int64_t row, int64_t column) {
                         const int64_t at = ((n * rows + row) * columns + column) * 2;
                         if (!floats) {
                           return std::pair<double, double>(frame.ints(coordinates)[at],
                                                            frame.ints(coordinates)[at + 1]);
                         }
                         return std::pair<double, double>(frame.floats(coordinates)[at],
                                                          frame.floats(coordinates)[at + 1]);
                       });
}

// The coordinates are those of the result, from -1 to 1, times a matrix [a0 a1 a2 b0 b1 b2].
Status lower_affine(const mil::Op& op, Lowering& lowering) {
  const mil::Value& value = *op.operand("transform_matrix");
  const Resampler resampler{Border::Constant, false, true, true, false, 0};
  const Place matrices = TRY(lowering.cells(value));
  const Shape to = op.result()->type.shape;
  return emit_resample(
      op, lowering, resampler,
      [=, several = value.type.shape[0] > 1](const Frame& frame, int64_t n, int64_t row,
                                             int64_t column) {
        const auto place = [](int64_t i, int64_t size) {
          return size == 1 ? 0.0 : 2.0 * static_cast<double>(i) / static_cast<double>(size - 1) - 1;
        };
        const double u = place(column, to[3]), v = place(row, to[2]);
        const float* m = frame.floats(matrices) + (several ? n * 6 : 0);
        return std::pair<double, double>(m[0] * u + m[1] * v + m[2], m[3] * u + m[4] * v + m[5]);
      });
}

}  // namespace diptych::engine
