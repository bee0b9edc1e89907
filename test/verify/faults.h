// Good files, and faults to plant in them one at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mil/ir.h"
#include "pte/program.h"

namespace diptych::testing {

// The files that faults are planted in: exports of small random models, made once.
enum class File : uint8_t { Several, Single, Unquantised, WithTokenizer, Adapted };
std::string good_file(File file);
// What a file was exported from: a checkpoint, and the directory of the adapter "tone".
std::string source_of(File file);
std::string adapter_of(File file);  // empty: none

struct Fault {
  std::string name;
  File file = File::Several;
  std::string check;  // of verify, that finds it
  std::string place;  // that a finding of the check names
  // What diff tells first beside the good file, of one of the functions or of the files.
  std::string parts;
  // Plants it: in each function of each package, or in the program.
  std::function<void(mil::Function&)> edit;
  std::function<void(pte::Program&)> edit_program = nullptr;
  bool with_source = false;  // whether verify needs the source to see it
};
const std::vector<Fault>& faults();

// Writes the fault's file with it and returns the path of the faulty one.
std::string planted(const Fault& fault);

}  // namespace diptych::testing
