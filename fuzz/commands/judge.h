// Whether a command did what is promised for every input, however damaged.
#pragma once

#include <string>
#include <string_view>

#include "kind.h"
#include "process.h"

namespace diptych::fuzz {

struct Verdict {
  std::string why;         // one line that says what is wrong; empty when all is well
  bool succeeded = false;  // the command accepted the files
};

// Runs the command on the files in a fresh directory under `place`.
Verdict try_command(const std::string& diptych, const Runner& runner, const std::string& place,
                    const Files& files, const Command& command);

// The beginning of such a line without numbers and quoted texts: the same for failures of one sort.
std::string sort_of(std::string_view why);

}  // namespace diptych::fuzz
