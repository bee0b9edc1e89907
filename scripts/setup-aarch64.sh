#!/bin/sh
# scripts/setup-aarch64.sh DIR
#
# What a build for arm64 needs on a Debian machine of another kind: the cross compiler and
# qemu-user, installed as usual, and the arm64 packages of our libraries, unpacked in DIR/sysroot.
# apt keeps its books for those in DIR as well: the system does not become a multiarch one, and what
# is installed for the normal build stays as it is. Does nothing when DIR is complete.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
directory=$(cd "$1" && pwd)
"$(dirname "$0")/install-packages.sh" --aarch64
libraries="libcli11-dev libedit-dev libexpected-dev libfmt-dev libflatbuffers-dev libgmock-dev libgtest-dev
  libcpp-httplib-dev libhwy-dev libpcre2-dev libprotobuf-dev libprotozero-dev libsentencepiece-dev libutf8proc-dev
  libxxhash-dev nlohmann-json3-dev zlib1g-dev"

# shellcheck disable=SC2086  # a list of words
wanted=$(echo $libraries)
if [ "$(cat "$directory/complete" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "unpacking arm64 libraries in $directory/sysroot" >&2
rm -rf "$directory/apt" "$directory/sysroot" "$directory/complete"
mkdir -p "$directory/apt/lists/partial" "$directory/apt/cache/archives/partial" "$directory/sysroot"
: >"$directory/apt/status"  # nothing is installed there
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User= \
    -o Dir::State="$directory/apt" -o Dir::State::lists="$directory/apt/lists" \
    -o Dir::State::status="$directory/apt/status" -o Dir::Cache="$directory/apt/cache" \
    -o Debug::NoLocking=1 "$@" >&2
}
apt update
# shellcheck disable=SC2086
apt install --yes --download-only --no-install-recommends $libraries
for package in "$directory"/apt/cache/archives/*.deb; do
  case ${package##*/} in
    # The cross compiler has its own of these.
    libc6* | libc-* | libcrypt* | linux-libc-dev* | libgcc* | libstdc++* | gcc-*) ;;
    *) dpkg-deb --extract "$package" "$directory/sysroot" ;;
  esac
done
rm -rf "$directory/apt"
echo "$wanted" >"$directory/complete"
