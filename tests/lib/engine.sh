# shellcheck shell=bash
# Finding, installing and starting a container engine. Needs say.sh and host.sh.
# An engine counts as running when its API answers, not when a process or a socket file exists.
# It is started and left running; nothing here stops one.

ENGINE_LOG=${MSCTL_ENGINE_LOG:-/var/log/msctl-dockerd.log}
ENGINE_DEADLINE=60

# Where an engine may listen, best first. DOCKER_HOST has the only say when it is set.
engine_addresses() {
  if [[ -n ${DOCKER_HOST:-} ]]; then
    echo "${DOCKER_HOST/#\//unix:///}"  # a plain path is a socket
  else
    local user_run=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    printf 'unix://%s\n' /var/run/docker.sock "$user_run/docker.sock" "$user_run/podman/podman.sock" \
      /run/podman/podman.sock
  fi
}

# engine_get ADDRESS PATH: one question to the engine's API.
engine_get() {
  local curl=(curl --silent --fail --noproxy '*' --max-time 5)
  case $1 in
    unix://*) "${curl[@]}" --unix-socket "${1#unix://}" "http://engine$2" ;;
    tcp://*) "${curl[@]}" "http://${1#tcp://}$2" ;;
    *) return 1 ;;
  esac
}

# Prints the address of the first engine that answers.
engine_find() {
  local address
  while read -r address; do
    [[ $(engine_get "$address" /_ping 2>/dev/null) != OK ]] || { echo "$address"; return 0; }
  done < <(engine_addresses)
  return 1
}

engine_answers() { engine_find >/dev/null; }

# engine_description ADDRESS: `Docker 20.10.24 at unix:///var/run/docker.sock`.
engine_description() {
  local version kind=Docker
  version=$(engine_get "$1" /version) || version=
  [[ $version != *[Pp]odman* ]] || kind=Podman
  version=$(sed -n 's/.*"Version": *"\([0-9][0-9.]*\)[^"]*","ApiVersion.*/\1/p' <<<"$version")
  echo "$kind ${version:+$version }at $1"
}

# Prints the socket of an engine that runs but is not for this user.
engine_locked_socket() {
  local address socket
  while read -r address; do
    socket=${address#unix://}
    if [[ -S $socket && ! -w $socket ]]; then echo "$socket"; return 0; fi
  done < <(engine_addresses)
  return 1
}

# Why no engine answers, as the end of a sentence.
engine_absence() {
  local socket
  if ! have curl; then echo "curl is missing, so no engine can be asked"
  elif socket=$(engine_locked_socket); then
    echo "$socket may not be opened by $(id -un) (sudo usermod -aG docker $(id -un), then log in again)"
  elif [[ -n ${DOCKER_HOST:-} ]]; then echo "DOCKER_HOST=$DOCKER_HOST does not answer"
  elif have dockerd || have podman; then echo "an engine is installed but its API does not answer"
  else echo "no Docker or Podman is installed"; fi
}

# Makes an engine answer if that can be done; says why not and returns 1 if it cannot.
engine_ensure() {
  engine_answers && return 0
  if [[ -n ${DOCKER_HOST:-} ]]; then
    note "DOCKER_HOST=$DOCKER_HOST does not answer, and another's engine is not ours to start"
    return 1
  fi
  if ! have curl || ! have dockerd || ! have iptables; then engine_install || return 1; fi
  engine_answers || engine_locked_socket >/dev/null || engine_start || return 1
  engine_answers
}

engine_install() {
  local missing=()
  have dockerd || missing+=(docker.io)
  have iptables || missing+=(iptables)
  have curl || missing+=(curl)
  if ! may_install_packages; then
    note "not installed here: ${missing[*]}"
    hint "$(have apt-get && echo "sudo apt-get install ${missing[*]}" || echo 'install Docker Engine or Podman and start it')"
    return 1
  fi
  say "  installing ${missing[*]}"
  install_packages "${missing[@]}"
}

engine_start() {
  if ! may_become_root; then
    note "starting the engine needs root"
    hint "sudo systemctl start docker"
    return 1
  fi
  if [[ -d /run/systemd/system ]]; then engine_start_as_unit; else engine_start_in_background; fi
}

engine_start_as_unit() {
  say "  starting the docker unit"
  as_root systemctl start docker </dev/null || { note "systemctl could not start docker"; return 1; }
  eventually "$ENGINE_DEADLINE" engine_listens || { note "docker was started, but $(engine_absence)"; return 1; }
}

# Without an init system nobody else would start it. It outlives this script.
engine_start_in_background() {
  say "  starting dockerd in the background, its log is $ENGINE_LOG"
  # shellcheck disable=SC2016 # the inner shell expands $1
  as_root sh -c 'setsid dockerd >"$1" 2>&1 </dev/null & echo $! >"$1.pid"' start "$ENGINE_LOG" || return 1
  eventually "$ENGINE_DEADLINE" engine_listens_or_died || true
  engine_listens && return 0
  note "dockerd was started, but it does not answer: the end of $ENGINE_LOG"
  indent "$ENGINE_LOG" 8
  return 1
}

engine_listens() { engine_answers || engine_locked_socket >/dev/null; }
engine_listens_or_died() { engine_listens || ! [[ -d /proc/$(<"$ENGINE_LOG.pid") ]]; }
