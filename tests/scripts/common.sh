# shellcheck shell=bash
# Sourced by the scripts beside it. Owns what they share: where built and downloaded things live, how a script speaks
# (stderr only, so that stdout stays a value a caller can capture), and one lock per thing that must be made once.

cache=${SUPERCARGO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/supercargo}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

say() { printf 'tests/scripts/%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Holds the named lock until the script ends. Long-lived children must be started with 9>&- or they would hold it too.
lock() {
  exec 9>"$cache/$1.lock"
  flock -n 9 && return
  say "another run holds $cache/$1.lock, waiting for it"
  flock -w 1800 9 || die "the lock $cache/$1.lock was not released within 30 minutes: end the run that holds it"
}

# until_ok SECONDS COMMAND...: asks until the command succeeds or the time is over.
until_ok() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# The start time of a process in clock ticks since boot. With the pid it names one process for ever: a pid alone is
# reused, and a stop must never hit a stranger. Empty when there is no such process or it is a zombie.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The command name may hold spaces and brackets, so fields count from the last bracket.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" = Z ] || printf '%s' "${20}"
}

# A record is a file "PID START": what this machine runs on our behalf.
record() { printf '%s %s\n' "$2" "$(started_at "$2")" >"$1"; }
recorded_runs() {
  local pid start
  read -r pid start 2>/dev/null <"$1" && [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]
}
# end_recorded FILE SECONDS: SIGTERM, then a bounded wait. Fails when the process is still there.
end_recorded() {
  local pid _
  if recorded_runs "$1"; then
    read -r pid _ <"$1"
    # It may end by itself just now; whether it has is asked in the next line.
    kill -TERM "$pid" 2>/dev/null || true
    until_ok "$2" recorded_gone "$1" || return 1
  fi
  rm -f "$1"
}
recorded_gone() { ! recorded_runs "$1"; }

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
module=$tests/kube-apiserver

# What a program built from the module's named files is a function of, so that a change never runs the old program.
module_hash() { (cd "$module" && { cat "$@"; declare -f build_go; } | sha256sum | cut -c1-16); }

# build_go OUT TAGS PACKAGE: builds a program of the module. OUT appears whole or not at all.
build_go() {
  local out=$1 tags=$2 package=$3 need have go version minor started=$SECONDS tmp
  need=$(sed -n 's/^go //p' "$module/go.mod")
  # None is no failure yet: the next two lines look elsewhere, and then say what to do.
  go=$(command -v go || true)
  # Where the Go project's own archive goes, which is not on every PATH.
  if [ -z "$go" ] && [ -x /usr/local/go/bin/go ]; then go=/usr/local/go/bin/go; fi
  [ -n "$go" ] || die "Go $need or newer is needed to build ${out##*/}: install it from the Go project's download page into /usr/local/go (distributions may carry an older one), or set TEST_KUBECONFIG to use a cluster of your own"
  # Asked inside the module, a Go that may fetch a newer toolchain does so and answers with that one's version.
  have=$(cd "$module" && "$go" env GOVERSION 2>/dev/null) || have=unknown
  [ "$(printf '%s\n' "$need" "${have#go}" | sort -V | head -n 1)" = "$need" ] ||
    die "Go $need or newer is needed to build ${out##*/}, and $go is $have: install a newer one from the Go project's download page, or set TEST_KUBECONFIG to use a cluster of your own"
  version=$(cd "$module" && "$go" list -m -f '{{.Version}}' k8s.io/kubernetes) || die "the Go modules for ${out##*/} cannot be read: see the message above"
  minor=${version#v1.}
  minor=${minor%%.*}
  say "building ${out##*/} (Kubernetes $version, with $have)"
  mkdir -p "${out%/*}"
  tmp=$(mktemp "${out%/*}/building.XXXXXX")
  # Without the stamps the server would call itself v0.0.0. No C compiler is needed, and no debug information is kept.
  if ! (cd "$module" && CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -tags "$tags" -o "$tmp" \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor" \
    "$package") >&2 9>&-; then
    rm -f "$tmp"
    die "building ${out##*/} failed: see the messages above (a module that cannot be fetched needs the Go module proxy)"
  fi
  chmod 0755 "$tmp"
  mv "$tmp" "$out"
  say "built $out in $((SECONDS - started)) s"
}

# build_tool NAME [TAGS [LDFLAGS [PROGRAM]]]: prints the path of the tool of tests/tools/NAME, which is built once into the
# cache. Its go.mod names the tool, or several of which PROGRAM is one, and pins it with all that it is made of; or the tool
# is that folder's own main.go.
build_tool() {
  local name=$1 tags=${2:-} flags=${3:-} program=${4:-$1} folder=$tests/tools/$1 out go package
  out=$cache/$name-$( (cd "$folder" && shopt -s nullglob && { cat go.mod go.sum ./*.go; printf '%s\n' "$tags" "$flags"; }) | sha256sum | cut -c1-16)/$program
  if [ ! -x "$out" ]; then
    lock "$name"
    if [ ! -x "$out" ]; then
      go=$(command -v go || echo /usr/local/go/bin/go)
      package=$(sed -n 's/^tool \([^(].*\)/\1/p' "$folder/go.mod")
      [ -z "${4:-}" ] || package=$(sed -n "s|^[[:space:]]\(.*/$program\)$|\1|p" "$folder/go.mod")
      say "building ${package:=.} for $program, which takes a few minutes of processor time"
      mkdir -p "${out%/*}"
      (cd "$folder" && CGO_ENABLED=0 "$go" build -trimpath -buildvcs=false -tags "$tags" -ldflags "-s -w $flags" -o "$out.new" "$package") >&2 9>&- ||
        die "$program was not built: see the messages above (it needs Go and the Go module proxy)"
      mv "$out.new" "$out"
    fi
    exec 9>&-
  fi
  printf '%s\n' "$out"
}
