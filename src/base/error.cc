#include "base/error.h"

#include "base/printable.h"

namespace diptych {

namespace {

constexpr size_t kMaxListedItems = 20;
constexpr size_t kLongestItem = 200;
// What front ends put around an error on its line: their name, a hint at --help.
constexpr size_t kRoomAround = 100;

// Whether a text that begins with a place begins with `where` or with something in it.
bool begins_with_place(std::string_view text, std::string_view where) {
  if (where.empty() || !text.starts_with(where)) return false;
  const std::string_view rest = text.substr(where.size());
  return rest.empty() || rest.starts_with(": ") || rest[0] == '/' || where.back() == '/';
}

}  // namespace

tl::unexpected<Error> fail_with(ErrorCode code, fmt::string_view format, fmt::format_args args) {
  return tl::unexpected(Error{code, {}, fmt::vformat(format, args), {}});
}

std::string Error::to_string() const {
  std::string text =
      one_line(context.empty() ? message : context + ": " + message, kLongestLine - kRoomAround);
  for (size_t i = 0; i < items.size() && i < kMaxListedItems; ++i) {
    text += "\n  " + one_line(items[i], kLongestItem);
  }
  if (items.size() > kMaxListedItems) {
    text += fmt::format("\n  and {} more", items.size() - kMaxListedItems);
  }
  return text;
}

Error Error::within(std::string_view where) && {
  if (begins_with_place(context.empty() ? message : context, where)) return std::move(*this);
  context = context.empty() ? std::string(where) : std::string(where) + ": " + context;
  return std::move(*this);
}

tl::unexpected<Error> hinted(tl::unexpected<Error> error, Hint hint) {
  error.value().hint = hint;
  return error;
}

tl::unexpected<Error> about(Setting setting, tl::unexpected<Error> error) {
  error.value().setting = setting;
  return error;
}

}  // namespace diptych
