// What diptych does not implement of Core ML models, found before anything is built, so that one
// error lists all of it. Private to src/coreml.
#pragma once

#include "base/error.h"
#include "coreml/proto.h"

namespace diptych::coreml {

// Fails with Unsupported, one item per finding: another kind of model, features that are not arrays
// of a fixed shape, state, nested blocks, opsets, constants in other files. Unknown operations are
// not among them: the engine lists those.
Status check_supported(const proto::Model& model);

}  // namespace diptych::coreml
