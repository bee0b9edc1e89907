// Writes the sample package to argv[1].
#include <cstdio>

#include "sample_package.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const diptych::Status written = diptych::testing::write_sample_package(argv[1]);
  if (!written) std::fprintf(stderr, "%s\n", written.error().to_string().c_str());
  return written ? 0 : 1;
}
