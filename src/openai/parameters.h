// The members of a request's JSON object, each checked for type and range where it is read. What
// nobody has read in the end is refused: a parameter is never passed over in silence.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::openai {

class Parameters {
 public:
  // `path` is what errors put before the names of members: "" or "messages[1].". The object must
  // outlive the parameters.
  static Result<Parameters> of(const Json& object, std::string path);

  // The member; null where it is missing or JSON's null.
  const Json* find(std::string_view key);
  // The member, or an error that says that it is missing.
  Result<const Json*> need(std::string_view key);

  // Nothing where the member is missing or null.
  Result<std::optional<double>> number(std::string_view key, double low, double high);
  Result<std::optional<int64_t>> integer(std::string_view key, int64_t low, int64_t high);
  Result<std::optional<bool>> boolean(std::string_view key);
  Result<std::optional<std::string>> string(std::string_view key);

  // Members that are taken but change nothing here.
  void ignore(std::initializer_list<std::string_view> keys);

  // The name of a member in errors.
  std::string name(std::string_view key) const;

  // Fails when a member was not read.
  Status finish() const;

 private:
  Parameters(const Json& object, std::string path) : object_(&object), path_(std::move(path)) {}

  const Json* object_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
};

// "expected <what>, found <the value's beginning>", about a parameter.
tl::unexpected<Error> unexpected_value(std::string param, std::string_view expected,
                                       const Json& found);
// The element of a list at `index`, in errors.
std::string element_name(std::string_view list, size_t index);

}  // namespace diptych::openai
