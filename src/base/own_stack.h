// Recursion over what a file says, however small the stack of whoever asks for it.
#pragma once

#include <functional>

#include "base/error.h"

namespace diptych {

// Runs `work` to its end on a stack of 16 MiB of its own, of which only what is used is ever real.
// The caller's may be small (`ulimit -s`, threads of other programs); what recurses here has a
// limit of its own to its depth. Fails when there can be no such thread; what `work` throws comes
// through.
Status on_own_stack(const std::function<void()>& work);

}  // namespace diptych
