// How the tables of filters hang together.
#pragma once

#include "jinja/builtins.h"

namespace diptych::jinja {

const Builtin* find_sequence_filter(std::string_view name);

}  // namespace diptych::jinja
