// A .pte taken apart for mutation: its payloads, and the file systems in them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pte/program.h"

namespace diptych::fuzz {

// A blob of a program: a delegate's payload or named data.
struct Payload {
  std::string key;  // of named data, else empty
  std::string bytes;
};

// All payloads of the file. False when it cannot be read.
bool read_payloads(const std::string& file, std::vector<Payload>* payloads);
// The file with other payloads, as many as read_payloads() gives. False when the writer refuses.
bool replace_payloads(std::string& file, const std::vector<Payload>& payloads);

// A payload that is neither a reference nor text: a file system with a model.
bool is_file_system(const Payload& payload);

// Files of a file system in the order of their bytes, with its root's name. False when it cannot be
// read.
using FileList = std::vector<std::pair<std::string, std::string>>;
bool read_file_system(const std::string& bytes, std::string* root, FileList* files);
std::string write_file_system(const std::string& root, const FileList& files);

// The index at the end of a file system as JSON (it is stored backwards), and the bytes before it.
bool split_index(const std::string& bytes, std::string* data, std::string* index);
std::string join_index(const std::string& data, std::string index);

}  // namespace diptych::fuzz
