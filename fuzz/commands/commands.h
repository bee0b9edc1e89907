// Commands that several kinds of input have in common.
#pragma once

#include <string>

#include "kind.h"

namespace diptych::fuzz {

// The .pte files with one method, and with several that share weights.
inline constexpr const char* kSinglePath = "single.pte";
inline constexpr const char* kMultiPath = "multi.pte";
// One of the two, and a text to evaluate it on; and which of them it is.
Files program_files(const Models& models, Random& random);
std::string program_path(const Files& files);

// Exports what lies at `source`, a model's directory or file, or forecasts the export.
Command export_command(const std::string& source, Random& random);
// Tokenizes a text, or turns ids into one, with the tokenizer at `source`.
Command tokenize_command(const std::string& source, Random& random);
// Reads, runs, extracts or edits the .pte at `path`.
Command program_command(const std::string& path, Random& random);
// Talks with the .pte at `path`; what is said is `input`.
Command chat_command(const std::string& path, const std::string& input, Random& random);

}  // namespace diptych::fuzz
