# shellcheck shell=bash
# How the scripts talk: short lines on stderr, colour only on a terminal that wants it.
# Sourced by install.sh, tests/run and their friends. It decides nothing and exits nothing but `die`.

if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' green=$'\e[32m' yellow=$'\e[33m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' green='' yellow='' red='' plain=''
fi

say() { printf '%s\n' "$*" >&2; }
heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain" >&2; }
good() { printf '  %sok%s    %s\n' "$green" "$plain" "$*" >&2; }
note() { printf '  %snote%s  %s\n' "$yellow" "$plain" "$*" >&2; }
bad() { printf '  %sfail%s  %s\n' "$red" "$plain" "$*" >&2; }
hint() { printf '  hint: %s\n' "$*" >&2; }

# die WHAT [HINT]: the last words of a script.
die() {
  bad "$1"
  [[ -z ${2:-} ]] || hint "$2"
  exit 1
}

# die_usage WHAT: wrong arguments, exit code 2 as in msctl itself.
die_usage() {
  bad "$1"
  hint "$0 --help"
  exit 2
}

# print_help SCRIPT: the comment at its top.
print_help() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

# indent FILE [LINES]: the end of a log, set off from our own lines.
indent() { tail -n "${2:-20}" "$1" | sed 's/^/    | /' >&2; }

# With `set -Eeuo pipefail`, a command that fails where nobody asks ends the shell: say which one did.
# Only the shell that called this says it, not those inside it, so that it is said once.
report_surprises() {
  outermost_shell=$BASH_SUBSHELL
  trap 'surprise "$BASH_COMMAND" "${BASH_SOURCE[0]##*/}, line $LINENO"' ERR
}
surprise() {
  [[ $BASH_SUBSHELL = "$outermost_shell" && $1 != '"$@"' ]] || return 0
  bad "unexpected failure of: ${1%%$'\n'*} ($2)"
}
