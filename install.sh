#!/usr/bin/env bash
# Builds msctl out of this folder and installs it.
#
#   ./install.sh [--with-engine] [--demo] [--prefix DIR] [--debug]
#
#   --with-engine   where no container engine answers, install and start Docker (root or sudo, Debian or
#                   Ubuntu); where that cannot be done, msctl runs services as local processes
#   --demo          afterwards make, start and call a platform of two services
#   --prefix DIR    install into DIR/bin instead of Cargo's own bin folder
#   --debug         an unoptimised build: quick to make, slow to run
#
# Running it again is quick and changes only what differs. It asks nothing, but for a sudo password
# at a terminal.
((BASH_VERSINFO[0] >= 4)) || { echo "install.sh needs bash 4 or newer, this is $BASH_VERSION" >&2; exit 1; }
set -Eeuo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/say.sh
. "$root/tests/lib/say.sh"
# shellcheck source=tests/lib/host.sh
. "$root/tests/lib/host.sh"
# shellcheck source=tests/lib/engine.sh
. "$root/tests/lib/engine.sh"
# shellcheck source=tests/lib/demo.sh
. "$root/tests/lib/demo.sh"
report_surprises

with_engine=no demo=no profile=release
bin_folder=${CARGO_HOME:-$HOME/.cargo}/bin

main() {
  parse_arguments "$@"
  heading "msctl: what this machine has"
  need_rust
  need_c_compiler "$with_engine"
  good "$(cargo --version), and a C compiler"
  choose_runtime
  [[ $demo = no ]] || need_curl "$with_engine"

  heading "msctl: build and install"
  build
  install_binary
  [[ $demo = no ]] || run_demo "$bin_folder/msctl" "$runtime"
  farewell
}

parse_arguments() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --with-engine) with_engine=yes ;;
      --demo) demo=yes ;;
      --debug) profile=dev ;;
      --prefix) [[ -n ${2:-} ]] || die_usage "--prefix needs a folder"; bin_folder=$2/bin; shift ;;
      --prefix=?*) bin_folder=${1#*=}/bin ;;
      -h | --help) print_help "${BASH_SOURCE[0]}"; exit ;;
      *) die_usage "unknown argument '$1'" ;;
    esac
    shift
  done
}

need_rust() { have cargo || die "no Rust toolchain (cargo)" "install one from https://rustup.rs, then run this again"; }

# Sets `runtime`, and says which and why.
choose_runtime() {
  local engine reason
  runtime=${MSCTL_RUNTIME:-auto}
  if [[ $runtime != auto ]]; then good "services run on the $runtime runtime, as MSCTL_RUNTIME says"; return; fi
  if [[ $with_engine = yes ]]; then engine_ensure || true; fi
  if engine=$(engine_find); then
    runtime=docker
    good "services run in containers: $(engine_description "$engine") answers"
    return
  fi
  runtime=process
  reason=$(engine_absence)
  note "services run as local processes: $reason"
  [[ $with_engine = yes ]] || hint "./install.sh --with-engine installs and starts Docker"
}

build() {
  local started
  started=$(now)
  say "  building with cargo; the first time takes some minutes"
  (cd "$root" && cargo build --locked --bin msctl --profile "$profile") \
    || die "the build failed, cargo says why above"
  good "built in $(seconds_since "$started") s"
}

install_binary() {
  local built installed=$bin_folder/msctl
  built=$(target_folder)/${profile/#dev/debug}/msctl
  if cmp -s "$built" "$installed"; then
    good "$installed is up to date: $("$installed" --version)"
    return
  fi
  { mkdir -p "$bin_folder" && install -m 755 "$built" "$installed.new" && mv -f "$installed.new" "$installed"; } \
    || die "$bin_folder cannot be written" "choose another folder with --prefix"
  good "installed $installed: $("$installed" --version)"
}

target_folder() {
  (cd "$root" && cargo metadata --format-version 1 --no-deps --locked) \
    | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

farewell() {
  if [[ $(command -v msctl) != "$bin_folder/msctl" ]]; then
    note "a plain 'msctl' is not this one yet"
    hint "export PATH=\"$bin_folder:\$PATH\""
  fi
  [[ $demo = yes ]] || say "
  next: msctl new platform shop && cd shop && msctl new service orders --template rust-axum && msctl up"
}

main "$@"
