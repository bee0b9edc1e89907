// Findings of lint/lint.h for people, as lint and export --dry-run tell them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lint/lint.h"

namespace diptych::cli {

// The option of export that helps; empty: there is none.
std::string_view remedy_words(lint::Remedy remedy);

// A table of the findings, and what each rule says and where that stands.
std::string findings_text(const std::vector<lint::Finding>& findings);

}  // namespace diptych::cli
