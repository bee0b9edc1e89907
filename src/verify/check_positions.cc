// Row p of a RoPE table holds cosines and sines of p times an angle, all scaled alike: row 0 does
// not turn, and each row turns the one before it by the same angles.
#include <cmath>

#include "tensor/convert.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

// Cosines and sines in fp16, and products of them.
constexpr double kTableTolerance = 1e-2;

std::vector<float> floats_of(const std::vector<std::byte>& rows, DType dtype) {
  std::vector<float> floats(8 * rows.size() / static_cast<size_t>(bit_width(dtype)));
  convert_floats(rows.data(), dtype, floats.size(), reinterpret_cast<std::byte*>(floats.data()),
                 DType::F32);
  return floats;
}

void check_table(const contract::Description& model, size_t table, Report& report) {
  const std::vector<float> cosines = floats_of(model.ropes[table].cos, model.dtype),
                           sines = floats_of(model.ropes[table].sin, model.dtype);
  const auto width = static_cast<size_t>(model.rope_width);
  const std::string place = fmt::format("position table {}", table);
  const auto cos = [&](int64_t row, size_t column) {
    return static_cast<double>(cosines[static_cast<size_t>(row) * width + column]);
  };
  const auto sin = [&](int64_t row, size_t column) {
    return static_cast<double>(sines[static_cast<size_t>(row) * width + column]);
  };
  const double scale = cos(0, 0);
  for (size_t i = 0; i < width; ++i) {
    if (std::fabs(sin(0, i)) < kTableTolerance && std::fabs(cos(0, i) - scale) < kTableTolerance &&
        scale > kTableTolerance) {
      continue;
    }
    report.find(fmt::format("{}, position 0, column {}", place, i),
                fmt::format("turns by cos {:.4f}, sin {:.4f}: the first position turns nothing",
                            cos(0, i), sin(0, i)),
                std::fabs(sin(0, i)));
    return;
  }
  for (int64_t p = 0; p + 1 < model.max_context; ++p) {
    for (size_t i = 0; i < width; ++i) {
      const double c = cos(p, i) / scale, s = sin(p, i) / scale;
      const double step_c = cos(1, i) / scale, step_s = sin(1, i) / scale;
      const double off = std::hypot(cos(p + 1, i) / scale - (c * step_c - s * step_s),
                                    sin(p + 1, i) / scale - (s * step_c + c * step_s));
      if (off < kTableTolerance) continue;
      report.find(fmt::format("{}, position {}, column {}", place, p + 1, i),
                  "does not follow from the position before it", off);
      return;
    }
  }
}

}  // namespace

Status check_positions(Subject& subject, Report& report, Progress&) {
  const contract::Description* model = subject.model();
  if (model->max_context < 2) {
    report.does_not_apply("the context is one position");
    return {};
  }
  for (size_t table = 0; table < model->ropes.size(); ++table) check_table(*model, table, report);
  report.note(fmt::format("{} tables of {} positions", model->ropes.size(), model->max_context));
  return {};
}

}  // namespace diptych::verify
