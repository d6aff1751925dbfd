# Sourced by the scripts beside it: names that they share, and the docker client to use.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ROOT

# The name that the Dockerfile's FROM asks for; the images that the end-to-end tests run.
export BASE_IMAGE=debian:trixie-slim
export ACTION_IMAGE=flint-ml-actions:test
export JOB_IMAGE=flint-ml-job:test

# Debian's own client has BuildKit built in; another docker earlier on the PATH may lack buildx.
docker() {
  if [ -x /usr/bin/docker ]; then
    DOCKER_BUILDKIT=1 /usr/bin/docker "$@"
  else
    DOCKER_BUILDKIT=1 command docker "$@"
  fi
}

say() { printf '%s\n' "$*"; }

# Install Debian packages that are missing; quiet unless it fails.
apt_install() {
  local missing=() package log
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  say "installing ${missing[*]}"
  log=$(mktemp)
  if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    return 1
  fi
  rm -f "$log"
}
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
