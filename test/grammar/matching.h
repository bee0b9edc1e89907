// Whether a text is of a grammar, for tests.
#pragma once

#include <string_view>

#include "grammar/matcher.h"

namespace diptych::grammar {

inline bool matches(const std::shared_ptr<const Automaton>& automaton, std::string_view text) {
  Matcher matcher(automaton);
  Matcher::Config at = matcher.start();
  for (const char c : text) at = matcher.step(at, static_cast<uint8_t>(c));
  return matcher.accepts(at);
}

}  // namespace diptych::grammar
