#!/usr/bin/env bash
# memory.sh DIPTYCH STEP: every command with address space from 40 to 400 MB, in steps of STEP: it
# ends with status 0, 1 or 2, and with one line when not 0.
set -u
export LC_ALL=C
diptych=$1 step=$2
source=$(cd "$(dirname "$0")/../../demo" && pwd) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0 runs=0 ended=0
"$diptych" export -c "$source/model.pth" -p "$source/params.json" -o m.pte --max_context_len 256 \
  --multifunction >/dev/null 2>&1 || exit 1
echo '{% for m in messages %}{{ m.content }} {% endfor %}' >chat.jinja
"$diptych" metadata set m.pte --chat-template chat.jinja >/dev/null || exit 1

try() {
  local limit=$1 status lines
  shift
  (ulimit -v $((limit * 1000)); exec "$diptych" "$@" <<<"hello" >out 2>err)
  status=$?
  # The loader's own refusal is none of the program's.
  if [ $status = 127 ] && grep -q 'error while loading shared libraries' err; then return; fi
  runs=$((runs + 1))
  [ $status = 0 ] && return
  ended=$((ended + 1))
  lines=$(grep -c . err)
  if [ $status -gt 2 ] || [ "$lines" != 1 ] || ! grep -q '^diptych' err ||
    grep -q 'bad_alloc' err; then
    echo "memory.sh: $limit MB: diptych $*: status $status"
    sed 's/^/    /' err | head -5
    failures=$((failures + 1))
  fi
}

for ((limit = 40; limit <= 400; limit += step)); do
  try $limit export -c "$source/model.pth" -p "$source/params.json" -o out.pte --multifunction
  try $limit export -c "$source/model.pth" -p "$source/params.json" -o out.pte --threads 8 \
    --quant_algorithm mse
  try $limit run m.pte -p "Once upon a time" -n 20 --stats none
  try $limit run m.pte -p "Once upon a time" -n 20 --stats none --threads 8
  try $limit chat m.pte -n 2
  try $limit inspect m.pte --json
  try $limit eval m.pte --text "$source/held_out.txt" --max-positions 20
  try $limit bench m.pte -p 8 -n 4 -r 1
  try $limit tokenize -t "$source/tokenizer.model" "Once upon a time"
  try $limit extract m.pte -o packages
  try $limit metadata set m.pte get_model_name=Tiny -o named.pte
  try $limit synth --shape 260k -o synth --force
done
echo "memory.sh: $runs runs, $ended of them ended for want of memory, $failures failures"
[ $failures = 0 ]
