#!/usr/bin/env bash
# kills.sh DIPTYCH COUNT [DIRECTORY]: what is left when an export, an extract or a run is killed, its
# disk is full or its input is cut, COUNT times each, at random times: the old file whole or the new
# one whole, nothing else in its directory, the source untouched, and one line that says what it was.
# The last line is a summary; status 1 when anything else was found. DIRECTORY is for what is
# written (default: a temporary one).
set -u
export LC_ALL=C
diptych=$1 count=$2
work=$(mktemp -d -p "${3:-${TMPDIR:-/tmp}}" kills.XXXXXX)
# A child that is killed before it becomes diptych runs this too.
cleanup() {
  [ "$BASHPID" = $$ ] || return
  mountpoint -q "$work/disk" 2>/dev/null && umount "$work/disk"
  rm -rf "$work"
}
trap cleanup EXIT
failures=0

complain() {
  echo "kills.sh: $*"
  [ ! -s err ] || sed 's/^/    /' err | head -5
  failures=$((failures + 1))
}

# Signals that a shell lets its background jobs ignore are not ignored.
start() { exec env --default-signal=INT,QUIT "$diptych" "$@"; }
now() { date +%s%N; }
# A random part of some nanoseconds, in seconds, for sleep.
part_of() {
  local ns=$(((RANDOM * 32768 + RANDOM) % 1000000 * ($1 / 1000000)))
  printf '%d.%09d' $((ns / 1000000000)) $((ns % 1000000000))
}

cd "$work" || exit 1
"$diptych" synth --shape dim=256,layers=6,heads=8,kv_heads=4,hidden=768,vocab=4096 --format hf \
  -o model 2>/dev/null >&2 || exit 1
arguments=(--recipe upstream --max_context_len 256 --multifunction --quant_algorithm mse)
start=$(now)
"$diptych" export model "${arguments[@]}" -o new.pte >/dev/null 2>err || { cat err; exit 1; }
export_time=$(($(now) - start))
echo old >old.pte
cat model/* | cksum >source.sum
start=$(now)
"$diptych" extract new.pte -o packages >/dev/null 2>&1 || exit 1
extract_time=$(($(now) - start))
"$diptych" run new.pte --ids 1,2,3 -n 250 --print-ids --stats none >tokens 2>err || { cat err; exit 1; }
rm err

# check WHAT DIRECTORY: after an export into DIRECTORY, where old.pte was or was not before.
old=0 new=0
check() {
  local what=$1 out=$2/o.pte had_old=$3 names
  names=$(ls -A "$2")
  [ "$names" = o.pte ] || [ -z "$names" ] || complain "$what: left in the directory:" $names
  if [ ! -e "$out" ]; then
    [ "$had_old" = 0 ] || complain "$what: the old file is gone"
    old=$((old + 1))
  elif cmp -s "$out" new.pte; then
    new=$((new + 1))
  elif [ "$had_old" = 1 ] && cmp -s "$out" old.pte; then
    old=$((old + 1))
  else
    complain "$what: the file is neither the old nor the new one"
  fi
  [ "$(cat model/* | cksum)" = "$(cat source.sum)" ] || complain "$what: the source has changed"
}

# One line of error with status 1; nothing with status 0.
check_message() {
  local lines
  lines=$(grep -c . err)
  case $2 in
    0) ;;
    1) [ "$lines" = 1 ] && grep -q '^diptych' err || complain "$1: expected one line of error" ;;
    *) complain "$1: status $2" ;;
  esac
}

prepare() {  # a directory with or without an old file, in turns
  rm -rf "$1"/* && mkdir -p "$1"
  had_old=$(($2 % 2))
  [ $had_old = 0 ] || cp old.pte "$1/o.pte"
}

kill_exports() {
  old=0 new=0
  for ((i = 0; i < count; ++i)); do
    prepare out "$i"
    start export model "${arguments[@]}" -o out/o.pte >/dev/null 2>err &
    local pid=$!
    sleep "$(part_of $((export_time * 11 / 10)))"
    kill "-$1" $pid 2>/dev/null
    wait $pid 2>/dev/null
    local status=$?
    [ $status = 0 ] || [ $status = $((128 + $(kill -l "$1"))) ] || complain "SIG$1: status $status"
    check "SIG$1" out $had_old
  done
  echo "export, $count SIG$1: $old times the old state, $new times the new file"
}

# Extracts: each package whole or absent, beside a file that is not theirs.
kill_extracts() {
  local partial=0 whole=0
  for ((i = 0; i < count; ++i)); do
    rm -rf ex && mkdir ex
    # Half of them into a new directory, which appears as a whole.
    local out=ex/out
    [ $((i % 2)) = 0 ] || out=ex
    start extract new.pte -o $out >/dev/null 2>err &
    local pid=$!
    sleep "$(part_of $((extract_time * 11 / 10)))"
    kill "-$1" $pid 2>/dev/null
    wait $pid 2>/dev/null
    local name
    for name in $(ls -A $out 2>/dev/null); do
      case $name in coreml_*) ;; *) complain "extract, SIG$1: left $name" && continue ;; esac
      diff -rq "$out/$name" "packages/$name" >/dev/null || complain "extract, SIG$1: $name is not whole"
    done
    [ $out = ex ] || [ "$(ls -A ex)" = out ] || [ -z "$(ls -A ex)" ] ||
      complain "extract, SIG$1: left" $(ls -A ex)
    if [ "$(ls $out 2>/dev/null)" = "$(ls packages)" ]; then
      whole=$((whole + 1))
    else
      partial=$((partial + 1))
    fi
  done
  echo "extract, $count SIG$1: $whole times all packages, $partial times fewer"
}

fill_disks() {
  old=0 new=0
  local size=$(($(stat -c %s new.pte) / 1024)) how="limits of a file's size"
  mkdir -p disk
  if mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then how="full file systems"; fi
  for ((i = 0; i < count; ++i)); do
    local room=$((RANDOM * (size - 16) / 32768 + 8))  # pages are rounded up
    if [ "$how" = "full file systems" ]; then
      mount -o "remount,size=$((size + 1024))k" disk
      prepare disk "$i"
      mount -o "remount,size=${room}k" disk
      "$diptych" export model "${arguments[@]}" -o disk/o.pte >/dev/null 2>err
    else
      prepare disk "$i"
      (ulimit -f $room; exec "$diptych" export model "${arguments[@]}" -o disk/o.pte >/dev/null 2>err)
    fi
    local status=$?
    [ $status = 1 ] && grep -q 'cannot write: \(No space\|File too large\)' err ||
      complain "full disk ($room KiB of $size): status $status"
    check_message "full disk" $status
    check "full disk" disk $had_old
  done
  echo "export, $count $how: $old times the old state, $new times the new file"
}

cut_sources() {
  old=0 new=0
  mkdir -p cut
  cp model/config.json cut/
  for ((i = 0; i < count; ++i)); do
    prepare out "$i"
    cp model/model.safetensors cut/
    "$diptych" export cut "${arguments[@]}" -o out/o.pte >/dev/null 2>err &
    local pid=$! size
    sleep "$(part_of $((export_time * 11 / 10)))"
    size=$(stat -c %s model/model.safetensors)
    truncate -s $((RANDOM * size / 32768)) cut/model.safetensors
    wait $pid 2>/dev/null
    local status=$?
    check_message "cut source" $status
    check "cut source" out $had_old
  done
  echo "export, $count cut sources: $old times the old state, $new times the new file"
}

cut_models() {
  local whole=0 ended=0 run_time start
  cp new.pte running.pte
  start=$(now)
  "$diptych" run running.pte --ids 1,2,3 -n 250 --print-ids --stats none >/dev/null 2>err
  run_time=$(($(now) - start))
  for ((i = 0; i < count; ++i)); do
    cp new.pte running.pte
    "$diptych" run running.pte --ids 1,2,3 -n 250 --print-ids --stats none >found 2>err &
    local pid=$!
    sleep "$(part_of $run_time)"
    truncate -s $((RANDOM * $(stat -c %s new.pte) / 32768)) running.pte
    wait $pid 2>/dev/null
    local status=$?
    check_message "cut model" $status
    if [ $status = 0 ]; then
      whole=$((whole + 1))
      cmp -s found tokens || complain "cut model: other tokens with status 0"
    else
      ended=$((ended + 1))
    fi
  done
  echo "run, $count cut models: $whole times all tokens, $ended times an error"
}

kill_exports KILL
kill_exports TERM
kill_exports HUP
kill_exports INT
kill_extracts TERM
kill_extracts INT
fill_disks
cut_sources
cut_models
echo "kills.sh: $failures failures"
[ $failures = 0 ]
