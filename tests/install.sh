#!/usr/bin/env bash
# Tests of install.sh and of the shell functions beside it: what they say where something is missing,
# and the demo from the first command to the last, on each runtime.
set -Eeuo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=lib/say.sh
. "$root/tests/lib/say.sh"
# shellcheck source=lib/host.sh
. "$root/tests/lib/host.sh"
# shellcheck source=lib/engine.sh
. "$root/tests/lib/engine.sh"
# shellcheck source=lib/phases.sh
. "$root/tests/lib/phases.sh"
report_surprises

scratch=$(mktemp -d)
trap clean_up EXIT
good_tests=0 bad_tests=0

main() {
  check "help names every flag" help_names_every_flag
  check "an unknown argument is a usage error" says 2 "unknown argument '--frob'" "$root/install.sh" --frob
  check "a prefix without a folder is a usage error" says 2 "--prefix needs a folder" "$root/install.sh" --prefix
  check "without cargo it says where to get Rust" says 1 "https://rustup.rs" without_tools cargo
  check "without a C compiler it says what to install" says 1 "no working C compiler" without_tools cc sudo apt-get
  check "an engine that answers is found and described" an_engine_that_answers_is_described
  check "an engine that nobody runs is not found" an_engine_that_nobody_runs_is_not_found
  check "an engine that starts is waited for" an_engine_that_starts_is_waited_for
  check "an engine that dies at once is shown with its log" an_engine_that_dies_is_shown_with_its_log
  check "somebody else's engine is not started" an_engine_elsewhere_is_not_started
  check "test summaries are counted" test_summaries_are_counted
  check "licences outside the list are refused" licences_outside_the_list_are_refused
  check "the demo runs on local processes, twice" the_demo_runs_twice process
  if engine_answers; then
    check "the demo runs in containers, twice" the_demo_runs_twice docker
  else
    skip "the demo runs in containers, twice" "$(engine_absence)"
  fi
  if [[ $bad_tests = 0 ]]; then echo "test result: ok. $good_tests passed; 0 failed"
  else
    echo "test result: FAILED. $good_tests passed; $bad_tests failed"
    exit 1
  fi
}

# check SENTENCE COMMAND...
check() {
  local name=$1 output=$scratch/output status=0
  shift
  trap - ERR
  set +e
  (set -e; report_surprises; "$@") >"$output" 2>&1 </dev/null
  status=$?
  set -e
  report_surprises
  if [[ $status = 0 ]]; then good_tests=$((good_tests + 1)); echo "test $name ... ok"
  else bad_tests=$((bad_tests + 1)); echo "test $name ... FAILED"; sed 's/^/    | /' "$output"; fi
}

# says CODE TEXT COMMAND...: ends with that code and that text somewhere in its output.
says() {
  local code=$1 text=$2 output status=0
  shift 2
  output=$("$@" 2>&1) || status=$?
  echo "$output"
  [[ $status = "$code" ]] || { echo "exit code $status, not $code"; return 1; }
  grep -qF -- "$text" <<<"$output" || { echo "does not say: $text"; return 1; }
}

help_names_every_flag() {
  local flag
  for flag in --with-engine --demo --prefix --debug; do says 0 "$flag" "$root/install.sh" --help; done
}

# without_tools TOOL...: install.sh on a machine that lacks these.
without_tools() {
  local folder tool
  folder=$(mktemp -d -p "$scratch")
  for tool in bash env cargo rustc cc curl dirname id sed tail awk mktemp rm sudo apt-get; do
    [[ " $* " = *" $tool "* ]] || ! have "$tool" || ln -s "$(command -v "$tool")" "$folder/$tool"
  done
  env -u CC PATH="$folder" "$root/install.sh" --prefix "$scratch/none"
}

# From here on, in the shell of one check, the engine is looked for at a socket of its own.
use_fake_socket() {
  rm -f "$scratch/engine.sock"
  engine_addresses() { echo "unix://$scratch/engine.sock"; }
}

fake_engine='
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    address_string = lambda self: "engine"
    def do_GET(self):
        body = b"OK" if self.path == "/_ping" else b"{\"Version\":\"9.8.7\",\"ApiVersion\":\"1.41\"}"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
socketserver.UnixStreamServer(sys.argv[1], Handler).serve_forever()'

# fake_dockerd BODY: the `dockerd` that engine_start_in_background finds.
fake_dockerd() {
  mkdir -p "$scratch/bin"
  printf '#!/usr/bin/env bash\n%s\n' "$1" >"$scratch/bin/dockerd"
  chmod +x "$scratch/bin/dockerd"
  PATH=$scratch/bin:$PATH
  ENGINE_LOG=$scratch/dockerd.log
  use_fake_socket
}

an_engine_that_answers_is_described() {
  fake_dockerd "exec python3 -c '$fake_engine' '$scratch/engine.sock'"
  engine_start_in_background
  [[ $(engine_description "$(engine_find)") = "Docker 9.8.7 at unix://$scratch/engine.sock" ]]
  kill "$(<"$ENGINE_LOG.pid")"
}

an_engine_that_nobody_runs_is_not_found() {
  use_fake_socket
  ! engine_find || return 1
  [[ -n $(engine_absence) ]]
}

an_engine_that_starts_is_waited_for() {
  fake_dockerd "read -rt 1 <> <(:); exec python3 -c '$fake_engine' '$scratch/engine.sock'"
  ! engine_answers || return 1
  engine_start_in_background
  engine_answers
  kill "$(<"$ENGINE_LOG.pid")"
}

an_engine_that_dies_is_shown_with_its_log() {
  fake_dockerd 'echo "failed to mount the moon"; exit 1'
  says 1 "failed to mount the moon" engine_start_in_background
}

an_engine_elsewhere_is_not_started() {
  DOCKER_HOST=tcp://127.0.0.1:1 says 1 "not ours to start" engine_ensure
}

test_summaries_are_counted() {
  local log=$scratch/summaries
  printf '%s\n' 'test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out' \
    '     Summary [   1.2s] 12/14 tests run: 8 passed (1 slow), 3 failed, 1 timed out, 4 skipped' >"$log"
  [[ $(count_tests "$log") = "13 6 5" ]]
}

licences_outside_the_list_are_refused() {
  local copy=$scratch/copy
  mkdir -p "$copy/tests" "$copy/src"
  cp -r "$root/Cargo.toml" "$root/Cargo.lock" "$root/src" "$copy/"
  cp -r "$root"/tests/{main.rs,dependencies,lib} "$copy/tests/"
  sed 's/^  "ISC",$//' "$root/deny.toml" >"$copy/deny.toml"
  says 1 "the licence 'ISC' is not allowed" "$copy/tests/dependencies"
}

# the_demo_runs_twice RUNTIME: the second time nothing is made, and the answers are the same. Both
# runtimes use one folder after the other, and so compile the services once.
the_demo_runs_twice() {
  export MSCTL_RUNTIME=$1 XDG_DATA_HOME=$scratch/data XDG_STATE_HOME=$scratch/state
  says 0 "POST http" "$root/install.sh" --demo --debug --prefix "$scratch"
  says 0 "registered since an earlier run" "$root/install.sh" --demo --debug --prefix "$scratch" >"$scratch/second"
  ! grep -F "msctl new" "$scratch/second" || return 1
  says 0 "\"runtime\":\"$1\"" compact "$scratch/bin/msctl" -C "$scratch/data/msctl/demo" ps --format json
  end_demo
}

compact() { "$@" | tr -d ' \n'; }

end_demo() {
  XDG_STATE_HOME=$scratch/state "$scratch/bin/msctl" -C "$scratch/data/msctl/demo" down --volumes --yes
}

# Whatever a failed test left running is ended, and nothing else.
clean_up() {
  [[ ! -f $scratch/data/msctl/demo/msctl.toml ]] || end_demo >/dev/null 2>&1 || true
  rm -rf "$scratch"
}

main "$@"
