// Verifications for people and programs, as verify and export tell them.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "verify/verify.h"

namespace diptych::cli {

Json to_json(const verify::Verification& verification);
// A table of the checks, and what is wrong.
std::string verification_text(const verify::Verification& verification);
// An error when a check failed.
Status failed_status(const verify::Verification& verification);

}  // namespace diptych::cli
