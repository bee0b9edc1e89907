#!/bin/sh
# with_isa.sh ISA DIPTYCH COMMAND...: the command with DIPTYCH_ISA set. Status 77 where the machine
# has no such instruction set.
export DIPTYCH_ISA="$1"
diptych=$2
shift 2
if ! "$diptych" cpu >/dev/null 2>&1; then
  echo "skipped: this machine has no $DIPTYCH_ISA"
  exit 77
fi
exec "$@"
