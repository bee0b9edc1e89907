// Text from a hostile file, made fit for a one-line error message.
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// In double quotes, control characters escaped, invalid UTF-8 replaced, cut after 100 bytes.
std::string in_quotes(std::string_view text);

}  // namespace diptych
