#!/bin/sh
# scripts/setup-reference.sh DIR
#
# Makes a Python virtual environment in DIR with stock ExecuTorch, coremltools and what upstream's
# exporter needs: the versions that the conformance suite was written against, and what its parts
# "families", "serve", "worker" and "sweep" need. Does nothing when DIR holds them already. PYTHON chooses the Python, 3.10
# to 3.12.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
directory=$1
packages="torch==2.13.0 executorch==1.5.0 torchao==0.18.0 coremltools==9.0 numpy==2.4.6
  networkx==3.6.1 jinja2==3.1.6 sentencepiece==0.2.3 tiktoken==0.14.0
  tokenizers==0.23.3"
# Added to an environment that has the above; they fit together.
families="transformers==5.24.0 safetensors==0.8.0 gguf==0.19.0 peft==0.21.2 accelerate==1.15.0"
# Clients of the server; lm-eval's own needs tenacity and aiohttp, which lm_eval alone does not bring.
serve="openai==3.57.0 lm_eval==0.4.13 tenacity==9.2.1 aiohttp==3.14.5 jsonschema==4.26.0
  selenium==4.51.0 fastapi==0.165.0 uvicorn==0.54.0"
# A cluster for sweeps.
sweep="ray==2.60.0"

complete() {
  [ -x "$directory/bin/python" ] || return 1
  "$directory/bin/python" - "$@" <<'P'
import importlib.metadata as metadata, sys
for wanted in sys.argv[1:]:
    name, version = wanted.split("==")
    try:
        found = metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        found = "nothing"
    if found != version:
        sys.exit(f"setup-reference: {name}: {found} is installed, {version} is wanted")
P
}

install() {
  "$directory/bin/python" -m pip --disable-pip-version-check install --quiet "$@"
}

# shellcheck disable=SC2086  # lists of words, here and below
add_others() {
  complete $families $serve $sweep 2>/dev/null || install $families $serve $sweep
  complete $packages $families $serve $sweep
}

# shellcheck disable=SC2086
if complete $packages; then
  add_others
  exit 0
fi
if [ -e "$directory/bin/python" ]; then
  echo "setup-reference: $directory is another environment; remove it or name another place" >&2
  exit 1
fi

python=${PYTHON:-}
for candidate in python3.11 python3.12 python3.10 python3; do
  [ -n "$python" ] || ! command -v "$candidate" >/dev/null 2>&1 || python=$candidate
done
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
  run=""
  [ "$(id -u)" -eq 0 ] || run=sudo
  $run apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends \
    python3 python3-venv >&2
  python=${python:-python3}
fi
"$python" - <<'P'
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit("setup-reference: Python %d.%d; upstream's packages need 3.10 to 3.12 (PYTHON=…)" % sys.version_info[:2])
P

echo "installing stock ExecuTorch and coremltools into $directory" >&2
"$python" -m venv "$directory"
# torch first: the others take the build that is there.
install torch==2.13.0
# shellcheck disable=SC2086
install $packages
add_others
