// An Inspection as JSON, for programs. Keys are stable; those of absent things are left out.
#pragma once

#include "tools/inspect.h"

namespace diptych::tools {

// One object:
//   file      bytes, program_bytes, segments [{offset, bytes}], named_data [{key, bytes}]
//   methods   [{name, inputs, outputs, arena_bytes, instructions {kind: count},
//              operators [{name, calls}], partitions [{index, backend, compile_specs {key: value},
//              payload_bytes, payload, package, function, inputs, outputs | arguments}]}]
//             an input, output or argument is {value, name, dtype, shape, dynamic}
//   packages  [{key, bytes, unreadable | identifier, specification_version, default_function,
//              functions [{name, opset, inputs, outputs, op_count, ops {type: count}, weights}],
//              weights, weights_by_dtype {dtype: {count, bytes}}, shared_weights}]
//             weights are {count, bytes}
//   metadata  {name: {dtype, shape, value}}; a list of those where a method has several values
Json to_json(const Inspection& inspection);

}  // namespace diptych::tools
