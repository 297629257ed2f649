# shellcheck shell=bash
# TAP for suites written in shell: check NAME COMMAND..., skip NAME WHY, and finish at the end. Each test says how long
# it took.

tap_count=0 tap_failed=0

# The output of a command that fails follows its line as comments.
check() {
  local name=$1 output status=0 begin=${EPOCHREALTIME/[.,]/}
  shift
  output=$("$@" 2>&1) || status=$?
  tap_count=$((tap_count + 1))
  if [[ $status == 0 ]]; then
    echo "ok $tap_count - $name # time=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))ms"
  else
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $name # time=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))ms"
    printf '%s\n' "$output" "status $status" | tail -n 100 | sed 's/^/# /'
  fi
}

skip() {
  tap_count=$((tap_count + 1))
  echo "ok $tap_count - $1 # SKIP $2"
}

finish() {
  echo "1..$tap_count"
  [[ $tap_failed == 0 ]]
}
