#!/bin/sh
# Tries a wheel in a bare system: installs it there without the network, exports the bundled model and runs it.
#   scripts/try-wheel.sh WHEEL SUITE DIRECTORY [MIRROR]      as root, such as: try-wheel.sh x.whl bookworm /srv/bookworm
# DIRECTORY is made by debootstrap where it does not exist: SUITE with Python alone.
set -eu
wheel=$1 suite=$2 root=$3 mirror=${4:-}
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck disable=SC2086  # no mirror is no argument
[ -d "$root" ] || debootstrap --variant=minbase --include=python3-venv,python3-pip "$suite" "$root" $mirror
work=$(mktemp -d "$root/wheel.XXXXXX")
cp -r "$wheel" "$here/demo" "$work"
# Where a program's libraries are is seen in /proc.
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
trap 'umount "$root/proc"; rm -rf "$work"' EXIT
chroot "$root" sh -euc "cd /$(basename "$work")
  python3 -m venv env
  env/bin/pip --disable-pip-version-check install --quiet --no-index --no-deps ./*.whl
  env/bin/python -c 'import diptych, diptych._native; print(diptych._native.library()._name)'
  env/bin/diptych --version
  env/bin/diptych export -c demo/model.pth -p demo/params.json -o demo.pte --multifunction --max-context-len 256 2>/dev/null
  env/bin/diptych run demo.pte -p 'Once upon a time' -n 20 2>/dev/null
  du -shc env/lib/python3*/site-packages/diptych* | tail -1
  ldd --version | head -1"
