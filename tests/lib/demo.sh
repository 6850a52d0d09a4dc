# shellcheck shell=bash
# `install.sh --demo`: a platform of two services, started, and called through its gateway.
# Needs say.sh and host.sh. A second run uses the same folder and the same account.

demo_folder=${XDG_DATA_HOME:-$HOME/.local/share}/msctl/demo
demo_account=$demo_folder-account  # beside the platform's folder: the e-mail address and password, mode 0600
demo_services=(orders customers)

# run_demo MSCTL RUNTIME
run_demo() {
  msctl=$1
  heading "demo: a platform in $demo_folder"
  demo_create
  demo_choose_port
  demo_start "$2"
  demo_call
  heading "demo: what runs"
  in_demo ps >&2
  demo_look_further
}

in_demo() { "$msctl" --directory "$demo_folder" "$@"; }

demo_create() {
  local service
  if [[ ! -f $demo_folder/msctl.toml ]]; then
    mkdir -p "${demo_folder%/*}"
    demo_make "${demo_folder%/*}" new platform "${demo_folder##*/}"
  fi
  for service in "${demo_services[@]}"; do
    [[ ! -d $demo_folder/services/$service ]] || continue
    demo_make "$demo_folder" new service "$service" --template rust-axum
  done
}

# demo_make FOLDER ARGUMENTS...: what msctl says while making files is for who types the commands.
demo_make() {
  local folder=$1 said
  shift
  said=$("$msctl" --directory "$folder" "$@" 2>&1) || { say "$said"; die "msctl $* failed in $folder"; }
  good "msctl $*"
}

# The gateway's port may be somebody else's; once the platform runs, it is its own.
demo_choose_port() {
  local port
  ! demo_runs || return 0
  port=$(demo_port)
  while is_listening "$port"; do port=$((port + 1)); done
  [[ $port != "$(demo_port)" ]] || return 0
  note "port $(demo_port) is taken, the gateway gets $port"
  sed "s/^\(listen = \"[^\"]*:\)[0-9]*/\1$port/" "$demo_folder/msctl.toml" >"$demo_folder/msctl.toml.new"
  mv "$demo_folder/msctl.toml.new" "$demo_folder/msctl.toml"
}

demo_port() { sed -n 's/^listen = "[^"]*:\([0-9]*\)".*/\1/p' "$demo_folder/msctl.toml"; }
is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# demo_fact KEY: the first string of that name in what `msctl ps` says.
demo_fact() { in_demo ps --format json 2>/dev/null | tr -d ' \n' | grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }
demo_runs() { [[ -n $(demo_fact url) ]] && is_listening "$(demo_port)"; }

demo_start() {
  local runtime=$1 started
  started=$(now)
  if demo_runs; then
    runtime=$(demo_fact runtime)
    say "  msctl up --detach (it runs already, on the $runtime runtime)"
  else
    say "  msctl up --detach (the first time compiles both services)"
  fi
  in_demo up --detach --runtime "$runtime" >&2 || die "the platform did not start" "$msctl -C $demo_folder logs"
  gateway=$(demo_fact url) || die "msctl ps does not say where the gateway is"
  good "$gateway is up after $(seconds_since "$started") s"
}

demo_call() {
  local service token with_token
  heading "demo: through the gateway"
  demo_register
  token=$(in_demo token issue --subject demo) || die "no token was issued"
  good "msctl token issue --subject demo"
  with_token=(-H "Authorization: Bearer $token")
  for service in "${demo_services[@]}"; do
    demo_expect 401 "GET $gateway/$service without a token" "$gateway/$service"
    demo_expect 200 "GET $gateway/$service with the token" "${with_token[@]}" "$gateway/$service"
    [[ $demo_answer = '[]' ]] || continue
    demo_expect 201 "POST $gateway/$service" "${with_token[@]}" -H 'Content-Type: application/json' \
      --data '{"name":"the first"}' "$gateway/$service"
  done
}

# The password is made here and kept in a file that only its owner reads; it is on no command line.
demo_register() {
  local status email password
  [[ -s $demo_account ]] || (umask 077 && printf 'demo@example.com %s\n' "$(random_password)" >"$demo_account")
  read -r email password <"$demo_account"
  status=$(printf '{"name":"Demo","email":"%s","password":"%s"}' "$email" "$password" \
    | demo_curl -H 'Content-Type: application/json' --data @- "$gateway/auth/register" | head -n 1)
  case $status in
    201) good "POST $gateway/auth/register: 201, $email is registered" ;;
    409) good "POST $gateway/auth/register: 409, $email is registered since an earlier run" ;;
    *) die "POST $gateway/auth/register answered ${status:-nothing}, not 201" ;;
  esac
}

random_password() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# demo_expect STATUS WHAT CURL-ARGUMENTS...: leaves the body in `demo_answer`.
demo_expect() {
  local wanted=$1 what=$2 answer
  shift 2
  mapfile -t answer < <(demo_curl "$@")
  demo_answer=${answer[1]:-}
  [[ ${answer[0]:-} = "$wanted" ]] || die "$what answered ${answer[0]:-nothing}, not $wanted: $demo_answer"
  good "$what: $wanted ${demo_answer:0:60}"
}

# Prints the status, then the body.
demo_curl() {
  local body
  body=$(mktemp)
  curl --silent --noproxy '*' --max-time 30 --output "$body" --write-out '%{http_code}\n' "$@" || true
  cat "$body"
  rm -f "$body"
}

demo_look_further() {
  local name=msctl
  [[ $(command -v msctl) = "$msctl" ]] || name=$msctl
  say "
  look      cd $demo_folder
            $name ps
            $name logs -f
  change    something in services/orders/src, then: $name up -d
  account   $demo_account holds the demo's password
  stop      $name down"
}
