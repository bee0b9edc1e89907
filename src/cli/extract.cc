// diptych extract: the packages of a .pte.

#include "cli/command.h"

namespace diptych::cli {

Action setup_extract(CLI::App&) {
  return []() -> Status { return {}; };
}

}  // namespace diptych::cli
