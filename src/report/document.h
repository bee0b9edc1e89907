// The frame of a page. Private to src/report.
#pragma once

#include <string>
#include <string_view>

namespace diptych::report {

// A document of HTML that needs nothing else: style and sections, no script.
class Document {
 public:
  // `title` and `below` are plain texts.
  Document(std::string_view title, std::string_view below);

  // Adds a section with this body of HTML; nothing where it is empty.
  void section(std::string_view title, const std::string& body);
  std::string html() const;

 private:
  std::string text_;
};

}  // namespace diptych::report
