// What errors of libraries hint at (base/hint.h) in the words of the command line: names of options
// and of chat's commands. Nothing below this folder knows them.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych::cli {

// What may help the user of `command`; empty for a hint that says nothing.
std::string hint_text(const Hint& hint, std::string_view command);

// The error with its setting and hint put into the message.
Error worded(Error error, std::string_view command);

}  // namespace diptych::cli
