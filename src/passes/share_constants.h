// Makes equal small constants one object.
#pragma once

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::passes {

// Makes constants with equal contents of at most a megabyte share one weight, within functions and
// across them: zero biases of equal length, scalars, norm weights built twice. Writers store a
// weight object once. Larger weights are shared where they are made.
//
// What says how an operation works (axes, shapes, flags, names of types) becomes one constant of
// its function wherever it is equal: in a file each is an operation of a hundred bytes, in each of
// many functions.
Status share_constants(mil::Program& program);

}  // namespace diptych::passes
