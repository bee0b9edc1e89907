#!/bin/sh
# Builds hosts from an installed library alone, by find_package and by pkg-config, and runs them; then looks
# at what the library exports. Arguments: build tree, this folder, make_package, C compiler, a work folder.
set -eu
build=$1 here=$2 make_package=$3 cc=$4 work=$5
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --component library --prefix "$work/prefix" > "$work/install.log"
"$make_package" "$work/sample.mlpackage"
# Moved: nothing may depend on where it was installed.
mv "$work/prefix" "$work/moved"

cp -r "$here/find_package" "$here/host.c" "$work"
cmake -S "$work/find_package" -B "$work/by_cmake" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$work/moved" \
  -DCMAKE_C_FLAGS="${CAPI_FLAGS:-}" > "$work/cmake.log"
cmake --build "$work/by_cmake" >> "$work/cmake.log"
test "$("$work/by_cmake/host" "$work/sample.mlpackage")" = ok

libdir=$(dirname "$(find "$work/moved" -name libdiptych.so)")
flags=$(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config --cflags --libs diptych)
# shellcheck disable=SC2086
"$cc" -std=c99 -Wall -Wextra -Werror -pedantic ${CAPI_FLAGS:-} "$work/host.c" $flags -o "$work/by_pkg_config"
test "$(LD_LIBRARY_PATH=$libdir "$work/by_pkg_config" "$work/sample.mlpackage")" = ok

# Nothing but the interface is seen from outside.
if nm -D --defined-only "$libdir/libdiptych.so" | grep -v -e ' diptych_[a-z_]*@@DIPTYCH_0.1$' -e ' A DIPTYCH_0.1'; then
  echo "exported beside the interface" >&2
  exit 1
fi
echo "hosts built and run"
