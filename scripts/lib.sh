# Shared by the scripts beside it: sets up everything they need, on a bare Debian 12 as on a developer's machine.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }

# debian PACKAGE...: install what is missing, or name the one command that does.
# Services are not started by the installation: the scripts start their own on free ports.
debian() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "These Debian packages are missing. Install them once with:"
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
    say "Installing Debian packages: ${missing[*]}"
    local guard=/usr/sbin/policy-rc.d own_guard=
    if [ ! -e "$guard" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod +x "$guard" && own_guard=yes
    fi
    local log status=0
    log=$(mktemp)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 || status=$?
    [ -z "$own_guard" ] || rm -f "$guard"
    if [ $status != 0 ]; then
        tail -n 20 "$log" >&2
        say "apt-get could not install ${missing[*]} (exit $status)."
        exit 1
    fi
    rm -f "$log"
}

# environment LOCK: a virtual environment in .venv holding exactly what locks/LOCK.txt names, and the project itself.
# A fuller one (dev) serves the leaner wish (run) too.
environment() {
    local lock=$1 stamp want
    command -v python3 >/dev/null || debian python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Python 3.11 or newer is needed; python3 is $(python3 --version)."
        exit 1
    }
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
    stamp=.venv/.gridwhistle-lock
    want="$lock $(cat "locks/$lock.txt" pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [ "$lock" = run ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "dev $(cat locks/dev.txt pyproject.toml | sha256sum | cut -d' ' -f1)" ]; then
        return 0
    fi
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && return 0
    say "Setting up Python packages in .venv (once; about a minute)"
    python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "locks/$lock.txt"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    printf '%s' "$want" >"$stamp"
}
