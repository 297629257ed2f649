# shellcheck shell=bash
# Sourced by the scripts of this tree: messages, packages, builds.

SB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly SB_ROOT

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Runs a command with its output in a file; shows the end of it when the command fails.
quietly() {
  local log=$1
  shift
  if ! "$@" </dev/null >"$log" 2>&1; then
    echo "failed: $*" >&2
    tail -n 40 "$log" >&2
    return 1
  fi
}

packages_of() {
  local group
  for group; do
    sed -n "s/^$group: //p" "$SB_ROOT/deploy/packages.txt" | tr ' ' '\n'
  done
}

missing_packages() {
  local package
  for package in $(packages_of "$@"); do
    dpkg-query -W -f '${db:Status-Abbrev}\n' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
  done
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif ! command -v sudo >/dev/null; then
    return 1
  elif [[ -t 0 ]]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# Debian starts a server when its package is installed. What we install is for private instances, so no service
# starts on a system-wide port by our doing: this is the documented way to say so.
apt_install() {
  local policy=/usr/sbin/policy-rc.d status=0
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120)
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then as_root "${apt[@]}" update || return 1; fi
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null || return 1
    as_root chmod 755 "$policy"
  else
    policy=
  fi
  as_root "${apt[@]}" install --no-install-recommends "$@" ||
    { as_root "${apt[@]}" update && as_root "${apt[@]}" install --no-install-recommends "$@"; } || status=1
  [[ -z $policy ]] || as_root rm -f "$policy"
  return "$status"
}

# install_packages GROUP...: installs what is missing of these groups of packages.txt.
install_packages() {
  local missing log
  command -v apt-get >/dev/null || die "this needs Debian 12 or a relative of it (there is no apt-get here)"
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  echo "installing ${missing[*]}"
  if [[ $(id -u) != 0 ]] && ! as_root true 2>/dev/null; then
    echo "not root and no sudo: please run  apt-get install ${missing[*]}" >&2
    return 1
  fi
  log=$(mktemp)
  if ! (exec </dev/null && apt_install "${missing[@]}") >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    echo "could not install the packages; please run  apt-get install ${missing[*]}" >&2
    return 1
  fi
  rm -f "$log"
}

# build_preset PRESET LOG [TARGET...]: two compilers at a time, so that the machine stays usable. Whoever else builds the
# preset waits.
build_preset() {
  local preset=$1 log=$2 lock
  shift 2
  (
    cd "$SB_ROOT" && mkdir -p build && exec {lock}>"build/$preset.lock" && flock "$lock" &&
      quietly "$log" cmake --preset "$preset" &&
      quietly "$log" cmake --build --preset "$preset" -j 2 ${1:+--target "$@"}
  )
}
