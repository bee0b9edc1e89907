#include "server/keys.h"

#include <strings.h>

#include <algorithm>

#include "base/file.h"

namespace diptych::server {

Result<Keys> Keys::read(const std::string& path) {
  const std::string text = TRY(read_text_file(path, 1 << 20));
  Keys keys;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    if (!std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
      return invalid_data("{}: expected keys of visible ASCII characters, one a line", path);
    }
    keys.keys_.push_back(std::move(line));
  }
  if (keys.empty()) return invalid_data("{}: no key in it", path);
  return keys;
}

bool Keys::allow(std::string_view authorization) const {
  if (keys_.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";  // in any case (RFC 9110, 11.1)
  if (authorization.size() < kScheme.size() ||
      strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) != 0) {
    return false;
  }
  const std::string_view shown = authorization.substr(kScheme.size());
  bool found = false;
  for (const std::string& key : keys_) {
    unsigned difference = shown.size() == key.size() ? 0 : 1;
    for (size_t i = 0; i < key.size(); ++i) {
      difference |=
          static_cast<unsigned char>(key[i] ^ (shown.empty() ? 0 : shown[i % shown.size()]));
    }
    found |= difference == 0;
  }
  return found;
}

}  // namespace diptych::server
