#!/bin/sh
# Tries a wheel in a bare system: installs it there without the network, exports the bundled model and runs it, and says how
# long each step takes.
#   scripts/try-wheel.sh WHEEL SUITE DIRECTORY [MIRROR]      as root, such as: try-wheel.sh x.whl bookworm /srv/bookworm
# DIRECTORY is made by debootstrap where it does not exist: SUITE with Python alone. PACKAGES=<folder of Python packages>, of the
# system's version of Python, with coremltools and ExecuTorch: both are tried with the wheel as well.
set -eu
wheel=$1 suite=$2 root=$3 mirror=${4:-}
packages=${PACKAGES:-}
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck disable=SC2086  # no mirror is no argument
[ -d "$root" ] || debootstrap --variant=minbase --include=python3-venv,python3-pip "$suite" "$root" $mirror
work=$(mktemp -d "$root/wheel.XXXXXX")
clean() {
  for place in "$root/proc" "$work/packages"; do
    if mountpoint -q "$place"; then umount "$place"; fi
  done
  rm -rf --one-file-system "$work"
}
trap clean EXIT
cp -r "$wheel" "$here/demo" "$work"
# Where a program's libraries are is seen in /proc.
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
if [ -n "$packages" ]; then
  mkdir "$work/packages"
  mount --bind -o ro "$packages" "$work/packages"
fi

cat >"$work/venv" <<'S'
python3 -m venv env
S
cat >"$work/install" <<'S'
env/bin/pip --disable-pip-version-check install --quiet --no-index --no-deps ./*.whl
S
cat >"$work/import" <<'S'
env/bin/python -c 'import diptych, diptych._native; print(diptych._native.library()._name)'
env/bin/diptych --version
S
cat >"$work/export" <<'S'
env/bin/diptych export -c demo/model.pth -p demo/params.json -o demo.pte --multifunction --max-context-len 256 2>/dev/null
S
cat >"$work/run" <<'S'
env/bin/diptych run demo.pte -p 'Once upon a time' -n 20 2>/dev/null
S
cat >"$work/sweep" <<'S'
printf '[models.demo]\ncheckpoint = "demo/model.pth"\nparams = "demo/params.json"\n[recipes.best]\nrecipe = "best"\n' >plan.toml
env/bin/diptych-sweep plan.toml --dry-run 2>&1
S
# Of a specification and of a file's methods; both print what a model gives.
cat >"$work/coremltools" <<'S'
PYTHONPATH=packages env/bin/python - <<'P'
import coremltools as ct, diptych, numpy as np
from coremltools.converters.mil import Builder as mb
diptych.register_coremltools()
@mb.program(input_specs=[mb.TensorSpec(shape=(1, 4))])
def program(x):
    return mb.relu(x=mb.sub(x=x, y=np.float32(1)))
model = ct.convert(program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32)
print(model.predict({"x": np.array([[0, 1, 2, 3]], np.float32)}))
P
S
cat >"$work/executorch" <<'S'
PYTHONPATH=packages env/bin/python - <<'P'
import diptych
diptych.register()
from executorch.runtime import Runtime
program = Runtime.get().load_program("demo.pte")
print(sorted(program.method_names)[:3], type(program.load_method("forward")).__name__)
P
S
steps="venv install import export run sweep"
[ -z "$packages" ] || steps="$steps coremltools executorch"
for step in $steps; do
  begin=$(date +%s%N)
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -euc "cd /$(basename "$work") && . ./$step"
  echo "-- $step: $((($(date +%s%N) - begin) / 1000000)) ms"
done
chroot "$root" sh -c "du -shc /$(basename "$work")/env/lib/python3*/site-packages/diptych* | tail -1; ldd --version | head -1"
