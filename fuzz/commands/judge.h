// Whether a command did what is promised for every input, however damaged.
#pragma once

#include <string>
#include <string_view>

#include "kind.h"
#include "process.h"

namespace diptych::fuzz {

// Runs the command on the files in a fresh directory under `place`. Empty when all is well, else
// one line that says what is not.
std::string try_command(const std::string& diptych, const Runner& runner, const std::string& place,
                        const Files& files, const Command& command);

// The beginning of such a line without numbers and quoted texts: the same for failures of one sort.
std::string sort_of(std::string_view why);

}  // namespace diptych::fuzz
