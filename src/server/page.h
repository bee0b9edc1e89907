// The files of the page at "/", which are compiled into the program (folder web/).
#pragma once

#include <span>
#include <string_view>

namespace diptych::server {

struct PageFile {
  std::string_view name, type, bytes;
};

std::span<const PageFile> page_files();

}  // namespace diptych::server
