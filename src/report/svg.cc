#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/printable.h"

namespace diptych::report {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

namespace {

// The worst ratio of sides in a row of sizes laid along `side`.
double worst_ratio(double sum, double least, double most, double side) {
  const double square = side * side;
  return std::max(square * most / (sum * sum), sum * sum / (square * least));
}

}  // namespace

std::vector<Rect> treemap(const std::vector<double>& sizes, const Rect& area) {
  std::vector<Rect> rects(sizes.size());
  const double total = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  if (!(total > 0)) return rects;
  const double scale = area.width * area.height / total;
  Rect left = area;
  for (size_t first = 0; first < sizes.size();) {
    const double side = std::max(std::min(left.width, left.height), 1e-9);
    // As many as make the row's pieces more square.
    double sum = sizes[first] * scale;
    size_t end = first + 1;
    double ratio = worst_ratio(sum, sum, sum, side);
    while (end < sizes.size()) {
      const double with = sum + sizes[end] * scale;
      const double next = worst_ratio(with, sizes[end] * scale, sizes[first] * scale, side);
      if (next > ratio) break;
      ratio = next;
      sum = with;
      ++end;
    }
    const bool upright = left.width >= left.height;
    const double thick = sum / side;
    double at = upright ? left.y : left.x;
    for (size_t i = first; i < end; ++i) {
      const double length = sizes[i] * scale / std::max(thick, 1e-9);
      rects[i] = upright ? Rect{left.x, at, thick, length} : Rect{at, left.y, length, thick};
      at += length;
    }
    if (upright) {
      left.x += thick;
      left.width -= thick;
    } else {
      left.y += thick;
      left.height -= thick;
    }
    first = end;
  }
  return rects;
}

std::string percent(double relative) {
  return std::isfinite(relative) ? fmt::format("{:.3g} %", 100 * relative) : "beyond measure";
}

std::string figure(std::string_view title, std::string_view alternative, double width,
                   double height, const std::string& body) {
  return fmt::format(
      "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\"><title>{}</title>{}</svg></figure>\n",
      escaped(title), width, height, escaped(alternative), escaped(alternative), body);
}

std::string box(const Rect& rect, std::string_view kind, std::string_view tooltip) {
  return fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
      "class=\"{}\"><title>{}</title>"
      "</rect>",
      rect.x, rect.y, std::max(rect.width, 0.0), std::max(rect.height, 0.0), kind,
      escaped(tooltip));
}

std::string label(double x, double y, std::string_view text, std::string_view anchor) {
  return fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                     escaped(text));
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  const auto is_number = [](const std::string& cell) {
    return !cell.empty() && cell.find_first_not_of("0123456789.-%") == cell.npos;
  };
  std::string out = "<div class=\"scroll\"><table>";
  for (size_t row = 0; row < rows.size(); ++row) {
    out += "<tr>";
    for (const std::string& cell : rows[row]) {
      const char* tag = row == 0 ? "th" : "td";
      out += fmt::format("<{}{}>{}</{}>", tag, row > 0 && is_number(cell) ? " class=\"n\"" : "",
                         escaped(cell), tag);
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

}  // namespace diptych::report
