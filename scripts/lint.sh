#!/bin/sh
# clang-format and clang-tidy over the tree; needs a release build, for the generated headers.
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.h' '*.cc' | xargs clang-format --dry-run --Werror
cmake --preset release -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
git ls-files 'src/*.cc' | xargs -P "$(nproc)" -n 4 \
  clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p build/release  # GCC's options
