#!/bin/sh
# Makes what a package holds beside the programs: a man page of each command, from its help; the
# licence and the changelog as Debian wants them.
#   make-documentation.sh DIPTYCH DIRECTORY      (needs help2man)
set -eu
diptych=$1
out=$2
root=$(cd "$(dirname "$0")/.." && pwd)
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH="$epoch"
rm -rf "$out"
mkdir -p "$out/man/man1" "$out/doc"

version=$("$diptych" --version | sed 's/.* //')

# page NAME SUMMARY [COMMAND]. CLI11 heads its lists with "Options:" and "Examples:", as help2man
# expects; the first line of the help is the summary, which a man page has of its own.
page() {
  name=$1 summary=$2 command=${3:-}
  # shellcheck disable=SC2086  # no command is no argument
  "$diptych" $command --help >"$out/help"
  printf '#!/bin/sh\ncase "$1" in --version) echo "%s %s" ;; *) cat "%s" ;; esac\n' \
    "$name" "$version" "$out/help" >"$out/$name"
  chmod 755 "$out/$name"
  help2man --no-info --section 1 --name "$summary" --output "$out/man/man1/$name.1" "$out/$name"
  gzip -n9 "$out/man/man1/$name.1"
  rm "$out/$name" "$out/help"
}
page diptych "Core ML language models in ExecuTorch files, on Linux"
"$diptych" --help | sed -n '/^Subcommands:/,$p' | sed -n 's/^  \([a-z]*\)  *\(.*\)$/\1 \2/p' |
  while read -r command summary; do
    page "diptych-$command" "$summary" "$command"
  done

{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n'
  printf 'Upstream-Name: diptych\n\nFiles: *\nCopyright: 2026 the diptych authors\nLicense: BSD-3-Clause\n'
  sed -n '/^Redistribution/,$p' "$root/LICENSE" | sed 's/^$/./; s/^/ /'
} >"$out/doc/copyright"
{
  printf 'diptych (%s) unstable; urgency=medium\n\n  * CHANGELOG.md of the sources has the changes.\n\n' "$version"
  printf ' -- The diptych authors <diptych@example.org>  %s\n' "$(date -u -R -d "@$epoch")"
} | gzip -n9 >"$out/doc/changelog.gz"
