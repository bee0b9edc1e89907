// Finds features of Core ML models that diptych does not implement, before anything is built, so
// that one error lists them all. Private to src/coreml.
#pragma once

#include "base/error.h"
#include "coreml/proto.h"

namespace diptych::coreml {

// Fails with Unsupported and one item for each of these: another kind of model, features that are
// not arrays of a fixed shape (but for a classifier's outputs), state, nested blocks, other opsets,
// constants in other files.
// Unknown operations pass; the engine lists them.
Status check_supported(const proto::Model& model);

}  // namespace diptych::coreml
