// Another name for a method whose model lies in a payload, without touching the weights.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"

namespace diptych::coreml {

struct RenamedBlob {
  std::string key;                // as DelegateBlob::key: follows from the new contents
  bool renamed_function = false;  // the model had a function of that name, which is renamed too
  SourceRef blob;                 // streams files of the old blob
};

// Renames a method in a blob whose metadata.json lists methods, and the model's function of the
// same name, if it has one. The blob gets an identifier of its own, since the Apple runtime caches
// by it; it follows from the old one and the names. All other files stay as they are, in their
// order. The blob's bytes must outlive the result, or be kept by `owner`.
//
// NotFound when metadata.json has no such method, InvalidArgument when `to` is taken.
Result<RenamedBlob> rename_method(Bytes blob, std::shared_ptr<const void> owner,
                                  std::string_view from, std::string_view to);

// Whether a blob's metadata.json lists methods: only then the method's name matters to it.
Result<bool> lists_methods(Bytes blob);

}  // namespace diptych::coreml
