#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes this checkout ready to use: Debian packages, .venv, the stress program.
#
#   ./setup.sh         for `lab run`
#   ./setup.sh --dev   the same, with what the tests need
#   BOARDS=1 ./setup.sh  ... with what boards need (docs/boards.md); the tests' has it too
#
# Only what is missing is done; when nothing is, this takes a fraction of a second. Root (or
# sudo) is wanted only to install packages. What the steps print goes to .cache/setup.log.
# $PYTHON names another interpreter (3.11 to 3.13).
set -eu
cd "$(dirname "$0")"

dev=
case "${1-}" in
'') ;;
--dev) dev=yes ;;
*)
    sed -n '3,11s/^# \{0,1\}//p' setup.sh >&2
    exit 2
    ;;
esac

log=.cache/setup.log
venv=.venv

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 2
}

# Runs a step with its output in the log; a failure shows the first line that reads like one.
step() {
    title=$1
    say "$title"
    shift
    printf '\n$ %s\n' "$*" >>"$log"
    start=$(($(wc -l <"$log") + 1))
    "$@" >>"$log" 2>&1 </dev/null && return 0
    code=$?
    tail -n "+$start" "$log" >"$log.step"
    first=$(grep -v -e 'subprocess-exited-with-error' -e '^ *$' "$log.step" |
        grep -m 1 -iE '^E: |^ *error|: error|error:|\*\*\*|fatal|not found|no space left|cannot ' ||
        tail -n 1 "$log.step")
    rm -f "$log.step"
    printf 'setup: %s failed (%s): %s\n' "$title" "$code" "${first:-it printed nothing}" >&2
    printf 'setup: all that it printed: %s/%s\n' "$PWD" "$log" >&2
    exit 4
}

# What only the tests need is left out without --dev.
packages() {
    if [ -n "$dev" ]; then cat packages.txt; else sed '/^# testing alone/,$d' packages.txt; fi |
        sed 's/[ #].*//; /^$/d'
}

missing_packages() {
    # shellcheck disable=SC2046 # one word is one package
    dpkg-query -W -f='${Package} ${db:Status-Status}\n' $(packages) 2>/dev/null |
        sed -n 's/ installed$//p' | sort -u >.cache/installed
    packages | sort -u | comm -23 - .cache/installed
}

# What runs a command as root: env for root itself, sudo, or failure.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        echo env
    elif command -v sudo >/dev/null && { [ -t 0 ] && sudo -v || sudo -n true; } 2>/dev/null; then
        echo sudo
    else
        return 1
    fi
}

install_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        die "this is not Debian: the lab needs Debian 12 or 13 (or a container of it)"
    fi
    missing=$(missing_packages | tr '\n' ' ')
    missing=${missing% }
    lists=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' 2>/dev/null | head -n 1)
    [ -n "$missing" ] || [ -z "$lists" ] || return 0
    line="apt-get install --no-install-recommends"
    if ! root=$(as_root); then
        if [ -z "$missing" ]; then
            die "apt has no package lists, and this user is not root: let someone run
  apt-get update"
        fi
        die "packages are missing, and this user is neither root nor has sudo. Let someone run
  apt-get update && $line $missing
and start again: everything else works without root."
    fi
    step "reading Debian's package lists" "$root" apt-get update
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word is one package
    step "installing $(echo $missing | wc -w) packages (minutes, the first time)" \
        "$root" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=600 $missing
}

# Root's libvirt refuses to start without this user, even one whose settings name another.
# Debian 12 makes it only with libvirt's daemon, which the lab does not use; same ids.
make_libvirt_user() {
    [ "$(id -u)" = 0 ] || return 0
    getent passwd libvirt-qemu >/dev/null && return 0
    getent group libvirt-qemu >/dev/null || step "making the group libvirt-qemu" \
        groupadd --system --gid 64055 libvirt-qemu
    step "making the user libvirt-qemu" useradd --system --uid 64055 --gid libvirt-qemu \
        --home-dir /var/lib/libvirt --no-create-home --shell /usr/sbin/nologin libvirt-qemu
}

fits() {
    "$1" -c 'import sys, sysconfig, os, venv, ensurepip
have = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and have))' 2>/dev/null
}

find_python() {
    for python in "${PYTHON-}" python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if [ -n "$python" ] && command -v "$python" >/dev/null && fits "$python"; then
            command -v "$python"
            return
        fi
    done
    die "no Python from 3.11 to 3.13 with venv and headers was found; name one: PYTHON=/path ./setup.sh"
}

# Everything that the environment depends on, in one line.
fingerprint() {
    {
        cat requirements-build.txt "$1" pyproject.toml setup.py lab/__init__.py
        readlink -f "$venv/bin/python3"
        pwd
    } | sha256sum
}

make_venv() {
    wanted=requirements.txt covers=
    [ "${BOARDS:-0}" = 0 ] || wanted=requirements-boards.txt covers=requirements.txt
    [ -z "$dev" ] || wanted=requirements-dev.txt covers='requirements.txt requirements-boards.txt'
    stamp=$venv/.made-$wanted
    if [ -x "$venv/bin/lab" ] && "$venv/bin/python3" -c '' 2>/dev/null &&
        [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint "$wanted")" ]; then
        return 0
    fi
    if ! { [ -x "$venv/bin/python3" ] && "$venv/bin/python3" -m pip --version && fits "$venv/bin/python3"; } >/dev/null 2>&1; then
        python=$(find_python) || exit 2
        step "making $venv with $("$python" -V)" "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv"/.made-*
    pip="$venv/bin/python3 -m pip --disable-pip-version-check --no-input"
    # libvirt's module comes as source. Built with the locked tools, not with what is newest.
    # shellcheck disable=SC2086 # words of a command
    step "installing Python build tools" $pip install --require-hashes -r requirements-build.txt
    # shellcheck disable=SC2086
    step "installing Python packages ($wanted)" \
        $pip install --require-hashes --no-build-isolation -r "$wanted"
    # shellcheck disable=SC2086
    step "installing the lab into $venv" $pip install --no-deps --no-build-isolation -e .
    for one in $covers; do
        fingerprint "$one" >"$venv/.made-$one"
    done
    fingerprint "$wanted" >"$stamp"
}

[ "$(uname -m)" = x86_64 ] || die "this is $(uname -m): the lab needs x86-64"
mkdir -p .cache
exec 9>.cache/setup.lock
flock 9
[ -z "$dev" ] || date >>"$log"
install_packages
make_libvirt_user
make_venv
make --no-print-directory -s -C repro all 9>&- || die "the stress program does not build"
