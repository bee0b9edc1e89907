// Gives a method another name in the payload that holds its model; weights are left as they are.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"

namespace diptych::coreml {

struct RenamedBlob {
  std::string key;                // DelegateBlob::key of the new blob
  bool renamed_function = false;  // the model's function of that name was renamed too
  SourceRef blob;                 // streams files of the old blob
};

// Renames a method in a blob whose metadata.json lists methods, and the model's function of the
// same name if there is one. The new blob gets another identifier, because the Apple runtime caches
// by it; it follows from the old identifier and the names. All other files stay as they are, in
// their order. The blob's bytes must outlive the result, or be kept alive by `owner`.
//
// Errors: NotFound when metadata.json has no such method; InvalidArgument when `to` is taken.
Result<RenamedBlob> rename_method(Bytes blob, std::shared_ptr<const void> owner,
                                  std::string_view from, std::string_view to);

// Whether a blob's metadata.json lists methods. Only such a blob needs rename_method().
Result<bool> lists_methods(Bytes blob);

}  // namespace diptych::coreml
