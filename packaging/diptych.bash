# Completion for bash. Commands and options are those that the installed diptych's help names, so
# this file need not know them.
_diptych() {
  local current=${COMP_WORDS[COMP_CWORD]} command=""
  if ((COMP_CWORD > 1)); then command=${COMP_WORDS[1]}; fi
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null |
      sed -n '/^Subcommands:/,$p' | sed -n 's/^  \([a-z]*\)  .*/\1/p') --help --version" -- "$current"))
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "$command" --help 2>/dev/null |
      sed -n 's/^  \(-[a-z],\)\{0,1\}\(--[a-z0-9_-]*\).*/\2/p')" -- "$current"))
  else
    COMPREPLY=()  # files
  fi
}
complete -o default -F _diptych diptych
