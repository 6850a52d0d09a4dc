# shellcheck shell=bash
# Named phases of a long run: each has its time, its log and its outcome, and a failed one does not
# stop the next. Counts what passed, failed and was skipped. Needs say.sh and host.sh.

phase_logs=''    # a folder, set by who sources this
skipped_file=''  # likewise; holds a line for each skip, NAME: REASON
run_started=$(now)
phase_names=() phase_times=() phase_outcomes=()
passed=0 failed=0
parts_of_tests=0  # ignored by the runner because another test runs them: these are no skips

# phase NAME COMMAND...: only its outcome is shown; when it fails, the end of its log as well.
phase() {
  local name=$1 log
  shift
  begin_phase "$name"
  in_phase "$@" >"$log" 2>&1
  end_phase || { indent "$log" 60; say "    the whole log: $log"; }
}

# phase_aloud NAME COMMAND...: its output is shown while it runs.
phase_aloud() {
  local name=$1 log
  shift
  begin_phase "$name"
  in_phase "$@" 2>&1 | tee "$log" >&2
  end_phase || say "    the whole log: $log"
}

phase_succeeded() { [[ ${phase_outcomes[-1]} = ok ]]; }

# skip NAME REASON: loudly not done.
skip() {
  note "SKIPPED ($1: $2)"
  printf '%s: %s\n' "$1" "$2" >>"$skipped_file"
}

begin_phase() {
  heading "$1"
  log=$phase_logs/$(printf '%02d' "${#phase_names[@]}")-${1//[^a-zA-Z0-9]/-}.log
  phase_started=$(now)
  skips_before=$(skips)
}

# Runs in a shell of its own, so that its `set -e` holds although we want to know its status.
in_phase() {
  trap - ERR
  set +e
  (set -e; report_surprises; "$@")
  echo $? >"$phase_logs/status"
  set -e
  report_surprises
}

end_phase() {
  local status time
  status=$(<"$phase_logs/status")
  time=$(seconds_since "$phase_started")
  count_outcome "$status"
  phase_names+=("$name") phase_times+=("$time")
  if [[ $status = 0 ]]; then phase_outcomes+=(ok); good "$name, $time s"
  else phase_outcomes+=(FAILED); bad "$name, $time s, exit code $status"; fi
  return "$status"
}

# The tests in its log count one by one; a phase without any counts as one check. A test that wrote
# to `skipped_file` has returned, so its runner took it for passed.
count_outcome() {
  local status=$1 good bad ignored
  read -r good bad ignored < <(count_tests "$log")
  if ((good + bad > 0)); then
    good=$((good - $(skips) + skips_before))
    ignored=$((ignored - parts_of_tests))
    ((ignored <= 0)) || skip "$name" "$ignored tests are marked as ignored"
  elif [[ $status = 0 ]]; then good=1; fi
  [[ $status = 0 || $bad != 0 ]] || bad=1
  passed=$((passed + good)) failed=$((failed + bad))
}

skips() { sort -u "$skipped_file" | wc -l; }

# count_tests LOG: PASSED FAILED IGNORED, from the summaries of nextest and of `cargo test`.
count_tests() {
  awk '
    { gsub(/\033\[[0-9;]*m/, "") }
    / tests? run: / || /^test result: / {
      words = split($0, word, /[ ,;.]+/)
      for (i = 2; i <= words; i++) {
        if (word[i] == "passed") passed += word[i - 1]
        if (word[i] == "failed" || word[i] == "exec" || word[i] == "timed") failed += word[i - 1]
        if (word[i] == "ignored" || word[i] == "skipped") ignored += word[i - 1]
      }
    }
    END { print passed + 0, failed + 0, ignored + 0 }' "$1"
}

time_table() {
  local i
  heading "where the time goes"
  for i in "${!phase_names[@]}"; do
    printf '  %8s s  %-6s  %s\n' "${phase_times[i]}" "${phase_outcomes[i]}" "${phase_names[i]}" >&2
  done
  printf '  %8s s          in all\n' "$(seconds_since "$run_started")" >&2
}

# Every phase that failed, and the full names of the tests that did.
print_failures() {
  local i
  for i in "${!phase_names[@]}"; do
    [[ ${phase_outcomes[i]} = ok ]] || printf '  %s\n' "${phase_names[i]}"
  done
  cat "$phase_logs"/*.log | sed 's/\x1b\[[0-9;]*m//g' \
    | sed -nE 's/^ +(FAIL|TIMEOUT|SIG[A-Z]+|ABORT) \[[^]]*\] (\([^)]*\) +)?/    /p; s/^test (.*) \.\.\. FAILED$/    \1/p' | sort -u
}
