#!/usr/bin/env bash
# What curl does with a gateway. The URL is the argument.
set -euo pipefail
url=$1
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

ask() { curl --silent --show-error --max-time 20 "$@"; }

expect() {
  [[ $2 = "$3" ]] || { echo "$1: expected $2, got $3" >&2; exit 1; }
}

head -c 3000000 /dev/urandom >"$room/sent"

for version in --http1.1 --http2-prior-knowledge; do
  number=$([[ $version = --http1.1 ]] && echo 1.1 || echo 2)
  expect "$version status" "200 $number" "$(ask $version -o /dev/null -w '%{http_code} %{http_version}' "$url/head")"
  expect "$version HEAD" 200 "$(ask $version --head -o /dev/null -w '%{http_code}' "$url/head")"
  expect "$version missing" 404 "$(ask $version -o /dev/null -w '%{http_code}' "$url/missing")"
  expect "$version no content" 204 "$(ask $version -o /dev/null -w '%{http_code}' "$url/status/204")"
  expect "$version small body" "hello" "$(ask $version -d hello "$url/echo")"
  # curl asks with Expect before it sends this much.
  ask $version --data-binary "@$room/sent" "$url/echo" -o "$room/got"
  cmp "$room/sent" "$room/got"
  # From a pipe its length is not known, so it goes in chunks.
  ask $version -T - "$url/echo" -o "$room/got" <"$room/sent"
  cmp "$room/sent" "$room/got"
  expect "$version large" 8388608 "$(ask $version "$url/large" | wc -c)"
  expect "$version one connection" "1 0 0 " "$(ask $version -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' "$url/head" "$url/status/200" "$url/head")"
  expect "$version above the root" 400 "$(ask $version --path-as-is -o /dev/null -w '%{http_code}' "$url/../etc/passwd")"
  expect "$version query" '"/head?a=%2F&b="' "$(ask $version "$url/x/../head?a=%2F&b=" | grep -o '"/head[^"]*"')"
  if ask $version -H 'X-User-Id: root' "$url/head" | grep root; then exit 1; fi

  # The second event is sent when the first was seen, so an answer that is held back never ends.
  ask $version --no-buffer "$url/events" | while read -r line; do
    [[ $line != "data: first" ]] || ask "$url/go-on"
    echo "$line"
  done >"$room/events"
  expect "$version events" "data: first data: second" "$(grep data "$room/events" | xargs)"
done

# An upgrade that is not granted leaves the request as it was.
expect "h2c by upgrade" "200 1.1" "$(ask --http2 -o /dev/null -w '%{http_code} %{http_version}' "$url/head")"
expect "HTTP/1.0" 200 "$(ask --http1.0 -o /dev/null -w '%{http_code}' "$url/large")"
