// Grammars in GBNF, the notation of llama.cpp: rules "name ::= …" of literals in quotes, classes of
// characters, groups, alternatives and repetitions; "root" is the whole text. docs/guide/
// structured.md describes what is known of it.
#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "grammar/automaton.h"

namespace diptych::grammar {

// Errors name the line: what is not understood, a rule that is missing, left recursion.
Result<std::shared_ptr<const Automaton>> parse_gbnf(std::string_view source);

}  // namespace diptych::grammar
