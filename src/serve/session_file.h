// A session's tokens with their keys and values as a file, so that a server that is started again
// does not evaluate them again. docs/formats/session.md describes the file:
//
//   0    8 bytes  "diptykv1"
//   8   16        digest of the model's file
//  24    8        n, the number of tokens
//  32    8        bytes of keys and values of a token
//  40   8 n       the tokens
//   …             keys and values: by layer the keys, then the values, of each head n rows
//  end  16        digest of all that comes before
#pragma once

#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "generate/session.h"

namespace diptych::serve {

// The digest of a file's bytes.
Result<Digest> digest_of_file(const std::string& path);

// Replaces the file at `path` as a whole. Fails where the session cannot be saved (layers with a
// window).
Status save_session(const std::string& path, const generate::Session& session, const Digest& model);

// Fails, leaving an empty session, when the file is of another model, damaged, or does not fit.
Status restore_session(const std::string& path, generate::Session& session, const Digest& model);

}  // namespace diptych::serve
