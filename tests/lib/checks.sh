# shellcheck shell=bash
# What the phases of tests/run do. Each runs in the project's folder and fails by its exit code.
# Needs host.sh and phases.sh.

show_toolchain() {
  local tool
  cargo --version
  rustc --version
  for tool in 'cargo nextest' 'cargo deny' docker python3 node shellcheck; do
    printf '%s: ' "$tool"
    # shellcheck disable=SC2086 # two of them are two words
    $tool --version 2>/dev/null | grep -m 1 '[0-9]\.[0-9]' || echo "not installed"
  done
}

# Every script that git knows, by its first line or its name.
check_shell() { git ls-files | xargs grep -lIE '^#!.*\b(ba)?sh$|^# shellcheck shell=' | xargs shellcheck; }

has_nextest() { cargo nextest --version >/dev/null 2>&1; }

compile_tests() {
  cargo build --locked
  if has_nextest; then cargo nextest run --locked --no-run; else cargo test --locked --no-run --lib --bins --tests; fi
}

rust_tests() {
  if has_nextest; then cargo nextest run --locked --no-fail-fast
  else cargo test --locked --no-fail-fast --lib --bins --tests; fi
}

# For those who work on msctl, who see the private parts too: links to them are welcome.
document() {
  RUSTDOCFLAGS="-D warnings" \
    cargo doc --locked --no-deps --document-private-items
}

# make_offline_images LOGS: to be run in the background; leaves its output and status in that folder.
make_offline_images() {
  local status=0
  tests/offline-images/build >"$1/images.txt" 2>&1 || status=$?
  echo "$status" >"$1/images.status"
}

await_offline_images() {
  eventually 900 test -s "$1/images.status" || echo "the images are not there after 15 minutes"
  cat "$1/images.txt"
  return "$(<"$1/images.status")"
}

# test_service FOLDER: a service's own tests, with the tools of its language.
test_service() {
  local target=${CARGO_TARGET_DIR:-$PWD/target}/examples
  cd "$1" || return
  if [[ -f Cargo.toml ]]; then cargo test --target-dir "$target"
  elif [[ -f pyproject.toml || -f requirements.txt ]]; then test_python
  elif [[ -f package.json ]]; then npm ci --no-audit --no-fund && npm test
  else echo "no known way to test $1"; return 1; fi
}

# In a virtual environment of its own, out of the sources' way.
test_python() {
  local environment
  environment=$(mktemp -d)
  python3 -m venv "$environment"
  if [[ -f requirements-dev.txt ]]; then "$environment/bin/pip" install -q -r requirements-dev.txt
  else "$environment/bin/pip" install -q -r requirements.txt pytest; fi
  "$environment/bin/python" -m pytest -q -p no:cacheprovider
  rm -rf "$environment"
}
