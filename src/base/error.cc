#include "base/error.h"

namespace diptych {

namespace {
constexpr size_t kMaxListedItems = 20;
}

std::string Error::to_string() const {
  std::string text = context.empty() ? message : context + ": " + message;
  for (size_t i = 0; i < items.size() && i < kMaxListedItems; ++i) text += "\n  " + items[i];
  if (items.size() > kMaxListedItems) {
    text += fmt::format("\n  and {} more", items.size() - kMaxListedItems);
  }
  return text;
}

Error Error::within(std::string_view where) && {
  context = context.empty() ? std::string(where) : std::string(where) + ": " + context;
  return std::move(*this);
}

}  // namespace diptych
