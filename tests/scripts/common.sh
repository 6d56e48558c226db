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
    kill -TERM "$pid" 2>/dev/null || true
    until_ok "$2" recorded_gone "$1" || return 1
  fi
  rm -f "$1"
}
recorded_gone() { ! recorded_runs "$1"; }
