// Lets a libFuzzer executable write its own seed corpus: DIPTYCH_WRITE_SEEDS=DIR fuzz_<name>
// -runs=0

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "seeds.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* directory = std::getenv("DIPTYCH_WRITE_SEEDS");
  if (directory == nullptr) return 0;
  int number = 0;
  for (const auto& seed : fuzz_seeds()) {
    const std::string path = std::string(directory) + "/seed-" + std::to_string(number++);
    if (FILE* file = std::fopen(path.c_str(), "wb")) {
      std::fwrite(seed.data(), 1, seed.size(), file);
      std::fclose(file);
    }
  }
  return 0;
}
