#!/bin/sh
# clang-format and clang-tidy over the tree.
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.h' '*.cc' | xargs clang-format --dry-run --Werror
# Each source by itself, and the header that is generated.
cmake --preset release -B build/lint -DDIPTYCH_UNITY=OFF >/dev/null
cmake --build build/lint --target generated_headers >/dev/null
git ls-files 'src/*.cc' | xargs -P "$(nproc)" -n 4 \
  clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p build/lint  # GCC's options
