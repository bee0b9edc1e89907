// Templates in the subset of Jinja that chat templates are written in.
//
// A template is a program from outside: it is parsed once, can only read what it is given, and is
// stopped when it runs too long or grows too large. What it cannot do here is refused by name, with
// line and column. docs/formats/chat_template.md lists what is known.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "jinja/ast.h"
#include "jinja/interpreter.h"

namespace diptych::jinja {

// Immutable once parsed; renderings may run at the same time.
class Template {
 public:
  // Bytes of `source` that are not UTF-8 count as U+FFFD.
  static Result<Template> parse(std::string_view source);

  // The output with the members of `variables`, an object, for variables. `now` is what
  // strftime_now writes, the local time unless given. A template's raise_exception is an
  // InvalidArgument error with its message.
  Result<std::string> render(const Json& variables, const Limits& limits = {},
                             const std::tm* now = nullptr) const;

 private:
  explicit Template(std::shared_ptr<const Block> block) : block_(std::move(block)) {}
  std::shared_ptr<const Block> block_;
};

}  // namespace diptych::jinja
