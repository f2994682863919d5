# Shared by the scripts beside it: sets up everything they need, on a bare Debian 12 as on a developer's machine.
# shellcheck shell=bash
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
cd -- "$root"

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
    local log status=0
    log=$(mktemp)
    without_services
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 || status=$?
    with_services
    if [ $status != 0 ]; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        say "apt-get could not install ${missing[*]} (exit $status)."
        exit 1
    fi
    rm -f "$log"
}

guard=/usr/sbin/policy-rc.d
guard_mark="# gridwhistle: no services while packages are installed"

# without_services, with_services: Debian's own way to keep an installation from starting services, taken back whatever
# ends the script. A guard that somebody else put there stays; one that a killed run of ours left behind goes.
without_services() {
    if [ -e "$guard" ] && ! grep -qF "$guard_mark" "$guard"; then
        return 0
    fi
    trap with_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$guard_mark" >"$guard"
    chmod +x "$guard"
}

with_services() {
    if [ -e "$guard" ] && grep -qF "$guard_mark" "$guard"; then
        rm -f "$guard"
    fi
    trap - EXIT INT TERM HUP
}

# environment LOCK: a virtual environment in .venv holding exactly what locks/LOCK.txt names, and the project itself.
# A fuller one (dev) serves the leaner wish (run) too. It is built anew when the locks, the project's settings, its folder
# or Python change. Its stamp says what it was made of, or that it is unfinished: one without a stamp is not ours to wipe.
environment() {
    local lock=$1 stamp=.venv/.gridwhistle-lock have=
    command -v python3 >/dev/null || debian python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Python 3.11 or newer is needed; python3 is $(python3 -V)."
        exit 1
    }
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
    if [ -f "$stamp" ]; then
        have=$(cat "$stamp")
    elif [ -e .venv ] || [ -L .venv ]; then
        say "$root/.venv was not made by these scripts, so it is left alone. Move it away, then run this again."
        exit 1
    fi
    [ "$have" != "$(made_of "$lock")" ] || return 0
    [ "$lock" != run ] || [ "$have" != "$(made_of dev)" ] || return 0
    say "Setting up Python packages in .venv (once; about a minute)"
    mkdir -p .venv
    printf 'unfinished' >"$stamp"
    find .venv/ -mindepth 1 -maxdepth 1 ! -name "${stamp##*/}" -exec rm -rf {} +
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "locks/$lock.txt"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    made_of "$lock" >"$stamp"
}

made_of() {
    printf '%s %s %s %s\n' "$1" "$(cat "locks/$1.txt" pyproject.toml | sha256sum | cut -d' ' -f1)" "$(python3 -V)" "$root"
}
