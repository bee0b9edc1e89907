// Whether one model can draft for another.
#pragma once

#include "answer/opened_model.h"
#include "base/error.h"

namespace diptych::answer {

// Fails where the draft's tokens are not the model's: another number of them, or, where both have
// tokenizers, an id that stands for another text. Errors name the draft's file.
Status check_same_vocabulary(const OpenedModel& model, const OpenedModel& draft);

}  // namespace diptych::answer
