# shellcheck shell=bash
# What this machine has, what may be added to it, and waiting for things with a deadline.
# Needs say.sh. Never prompts where no terminal could answer.

have() { command -v "$1" >/dev/null 2>&1; }
have_terminal() { [[ -t 0 && -t 2 ]]; }

# Root, sudo without a password, or sudo with somebody at the terminal to type one.
may_become_root() {
  [[ $(id -u) = 0 ]] && return 0
  have sudo || return 1
  sudo -n true 2>/dev/null || have_terminal
}

as_root() {
  if [[ $(id -u) = 0 ]]; then "$@"
  elif have_terminal; then sudo "$@"
  else sudo -n "$@"; fi
}

may_install_packages() { have apt-get && may_become_root; }

# install_packages PACKAGE...: quiet when it works, the end of its log when it does not.
install_packages() {
  local log status=0
  log=$(mktemp)
  { apt_install "$@" || { as_root apt-get update && apt_install "$@"; }; } >"$log" 2>&1 </dev/null || status=$?
  [[ $status = 0 ]] || { bad "apt-get could not install $*"; indent "$log" 8; }
  rm -f "$log"
  return "$status"
}

apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }

# need_c_compiler MAY_INSTALL: SQLite is compiled into msctl, which takes a C compiler and headers.
need_c_compiler() {
  c_compiler_works && return 0
  if [[ $1 = yes ]] && may_install_packages; then
    say "  no C compiler: installing gcc and libc6-dev"
    install_packages gcc libc6-dev && c_compiler_works && return 0
  fi
  die "no working C compiler (cc), which compiling SQLite into msctl needs" \
    "$(have apt-get && echo 'apt-get install gcc libc6-dev' || echo 'install gcc or clang with the C headers')"
}

# need_curl MAY_INSTALL
need_curl() {
  have curl && return 0
  if [[ $1 = yes ]] && may_install_packages; then install_packages curl && return 0; fi
  die "no curl" "$(have apt-get && echo 'apt-get install curl' || echo 'install curl')"
}

c_compiler_works() {
  have "${CC:-cc}" && printf '#include <stdlib.h>\nint main(void) { return 0; }\n' \
    | "${CC:-cc}" -x c -o /dev/null - >/dev/null 2>&1
}

# eventually SECONDS COMMAND...: asks until the answer is yes or the deadline has passed.
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

now() {
  local time=${EPOCHREALTIME:-$(date +%s)}
  echo "${time/,/.}"
}

# seconds_since START: with one decimal; START is what `now` said.
seconds_since() { LC_ALL=C awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }'; }
