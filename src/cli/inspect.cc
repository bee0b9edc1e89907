// diptych inspect: what a .pte holds.

#include "cli/command.h"

namespace diptych::cli {

Action setup_inspect(CLI::App&) {
  return []() -> Status { return {}; };
}

}  // namespace diptych::cli
