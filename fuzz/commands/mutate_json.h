// Mutations of JSON texts that keep most of their structure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "random.h"

namespace diptych::fuzz {

// Members worth adding: a key with a valid value as JSON.
struct JsonMember {
  std::string_view key, value;
};

// Changes one thing: a value for a hostile one, members removed, doubled, renamed, reordered or
// added from `members`, or the text itself (cut off, junk put in).
void mutate_json(std::string& text, Random& random, std::span<const JsonMember> members = {});

}  // namespace diptych::fuzz
