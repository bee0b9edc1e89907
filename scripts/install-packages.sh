#!/bin/sh
# Installs the Debian/Ubuntu packages that diptych is built from, those that are missing only.
#   scripts/install-packages.sh            what `make build`, `demo` and `test` need
#   scripts/install-packages.sh --dev      also clang, clang-format, clang-tidy (fuzz, format, lint)
#   scripts/install-packages.sh --deb      also what makes a Debian package of it, and lintian
#   scripts/install-packages.sh --aarch64  also the compiler and the emulator for arm64
set -eu

packages="g++ cmake ninja-build pkg-config libprotozero-dev protobuf-compiler libprotobuf-dev
  flatbuffers-compiler libflatbuffers-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  libexpected-dev libsentencepiece-dev libpcre2-dev libutf8proc-dev libedit-dev libcpp-httplib-dev libssl-dev libhwy-dev libxxhash-dev zlib1g-dev
  libgtest-dev libgmock-dev libbenchmark-dev"
if [ "${1:-}" = "--dev" ]; then
  packages="$packages clang clang-format clang-tidy libclang-rt-14-dev"
elif [ "${1:-}" = "--deb" ]; then
  packages="$packages dpkg-dev file help2man lintian"
elif [ "${1:-}" = "--aarch64" ]; then
  packages="$packages g++-aarch64-linux-gnu qemu-user-static"
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing" >&2
run=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "install-packages: neither root nor sudo; as root run: apt-get install$missing" >&2
    exit 1
  fi
  run=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -qq >&2
# shellcheck disable=SC2086  # a list of words
$run apt-get install -y -qq --no-install-recommends $missing >&2
