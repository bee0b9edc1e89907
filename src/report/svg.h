// Pieces of static SVG and HTML.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace diptych::report {

// A text from a file, made fit for HTML: marks escaped, control characters as escapes.
std::string escaped(std::string_view text);

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
};
// Divides an area by sizes (descending, positive), each piece as square as can be.
std::vector<Rect> treemap(const std::vector<double>& sizes, const Rect& area);

inline constexpr double kWidth = 960;  // of a page's figures

// A relative difference, or words where it is infinite or NaN.
std::string percent(double relative);

// A figure with its text alternative. `body` is SVG.
std::string figure(std::string_view title, std::string_view alternative, double width,
                   double height, const std::string& body);
// A rectangle with a tooltip; `kind` is a class of the page's style ("c0" … "c7").
std::string box(const Rect& rect, std::string_view kind, std::string_view tooltip);
std::string label(double x, double y, std::string_view text, std::string_view anchor = "start");

// Rows of cells, the first the heading; those of plain numbers align right.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace diptych::report
