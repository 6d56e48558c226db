# shellcheck shell=bash
# What every command of a transcript has at hand (it is read through BASH_ENV). Waits are bounded, and one that ends
# without what it waited for says so in the transcript.

# until_ok COMMAND...: asks until the command succeeds.
until_ok() {
  local _
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "never: $*"
  return 1
}
# gone ARGUMENT...: until kubectl get with these arguments finds nothing.
absent() { kubectl get "$@" 2>&1 | grep -q NotFound; }
gone() { until_ok absent "$@"; }
# lines FILE COUNT: until the file has that many lines.
enough() { [ "$(wc -l <"$1")" -ge "$2" ]; }
lines() { until_ok enough "$@"; }
# finish PID: ends a watch, which never ends by itself.
finish() {
  kill "$1"
  wait "$1" 2>/dev/null
  return 0
}
