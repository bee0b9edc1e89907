// Renders many templates, for test/conformance/text_templates.py.
//
// conformance_templates <requests >answers, one line of JSON each:
//   {"template": "…", "variables": {…}}  ->  {"text": "…"} or {"error": "…"}
#include <iostream>

#include "base/json.h"
#include "jinja/template.h"

namespace {

using diptych::Json;
using diptych::Result;

Result<std::string> answer(const std::string& line) {
  const Json request = TRY(diptych::parse_json(line));
  const auto parsed =
      TRY(diptych::jinja::Template::parse(TRY(diptych::json_string(request, "template"))));
  std::tm now = {};
  now.tm_year = 124;  // 2024-07-26, as the test's own clock
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_wday = 5;
  return parsed.render(*TRY(diptych::json_member(request, "variables")), {}, &now);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = answer(line);
    const Json json = text ? Json{{"text", *text}} : Json{{"error", text.error().to_string()}};
    std::cout << diptych::dump_json(json) << '\n';
  }
  return 0;
}
