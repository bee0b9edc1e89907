// The keys that clients must show, from a file of one a line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diptych::server {

class Keys {
 public:
  // Lines that are empty or begin with "#" are passed over. Errors: no key is left, or one has
  // characters that no header can hold.
  static Result<Keys> read(const std::string& path);

  // Whether `authorization` is "Bearer " and one of the keys. Takes the same time for every key of
  // the same length.
  bool allow(std::string_view authorization) const;
  bool empty() const { return keys_.empty(); }  // everybody may ask then

 private:
  std::vector<std::string> keys_;
};

}  // namespace diptych::server
