#!/usr/bin/env bash
# Makes a platform of each built-in template and runs what it brings along: its tests, its formatter,
# its linter. What a language downloads or compiles is kept in a cache folder between runs.
#
#   tests/templates.sh                     # all templates
#   tests/templates.sh rust-axum           # just these
#
# MSCTL            the program (target/debug/msctl)
# TEMPLATES_CACHE  where compiled and downloaded things are kept
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
msctl=${MSCTL:-$here/target/debug/msctl}
cache=${TEMPLATES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/msctl-templates}
# One plain name, and one that no language takes as an identifier.
names=(orders exchange-rate)

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir -p "$cache"

check_rust-axum() {
    export CARGO_TARGET_DIR=$cache/cargo
    cargo fmt --check
    cargo clippy --quiet --locked --all-targets -- -D warnings
    cargo test --quiet --locked
    # What msctl builds: a program that needs nothing else in its image.
    local target program
    target=$(rustc -vV | sed -n 's/^host: //p')
    cargo build --quiet --locked --config .cargo/static.toml --target "$target"
    program=$CARGO_TARGET_DIR/$target/debug/$1
    if ldd "$program" 2>&1 | grep -q '=>'; then
        echo "$program is not static" >&2
        return 1
    fi
}

check_python-fastapi() {
    local environment
    environment=$cache/python-$(cat requirements*.txt | sha256sum | cut -c1-16)
    if [ ! -e "$environment/ready" ]; then
        python3 -m venv --clear "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check -r requirements-dev.txt
        touch "$environment/ready"
    fi
    "$environment/bin/ruff" format --check --quiet .
    "$environment/bin/ruff" check --quiet .
    "$environment/bin/python" -m pytest --quiet
}

check_node-fastify() {
    npm ci --silent --prefer-offline --no-audit --no-fund
    npm run --silent check
    npm test --silent
}

# A lock file that names a registry would send everybody there.
check_locks() {
    if grep -rn '"resolved"' --include=package-lock.json --exclude-dir=node_modules .; then
        echo "package-lock.json names a registry" >&2
        return 1
    fi
}

check_template() {
    local template=$1 name
    (cd "$room" && "$msctl" new platform "$template-platform" >/dev/null)
    for name in "${names[@]}"; do
        echo "== $template as $name"
        (
            cd "$room/$template-platform"
            "$msctl" new service "$name" --template "$template" >/dev/null
            cd "services/$name"
            check_locks
            "check_$template" "$name"
        )
    done
    (cd "$room/$template-platform" && "$msctl" check >/dev/null)
}

templates=("$@")
[ ${#templates[@]} -gt 0 ] || templates=(rust-axum python-fastapi node-fastify)
for template in "${templates[@]}"; do
    check_template "$template"
done
echo "all templates are in order"
