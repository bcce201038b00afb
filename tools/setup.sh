#!/bin/sh
# Sets up .venv/ in the project's root: `tools/setup.sh run` for using Uzel, `tools/setup.sh test` for working on it.
#
# Does nothing when .venv/ already holds exactly what is asked for: a stamp in it records the interpreter, the place of
# the project and the content of every file that decides what is installed. Everything comes from the constraints
# files, pinned by hash. Debian packages are installed only when one is missing, and only by root; anybody else gets
# the exact line to run. PYTHON names the interpreter; without it the first python3 from 3.11 up is taken.
set -eu
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0

purpose=${1:-}
case $purpose in
    run) constraints=constraints.txt ;;
    test) constraints=constraints-dev.txt ;;
    *) echo "usage: tools/setup.sh run|test" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
root=$(pwd -P)
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin
venv=.venv

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Two of these at once (make run and make test, say) take turns.
if command -v flock >/dev/null 2>&1; then
    exec 9<tools/setup.sh
    flock 9
fi

# debian_package NAME WHY: install it as root, or say what to run.
debian_package() {
    if [ "$(id -u)" -ne 0 ]; then
        fail "$2. Run this, then the same command again:
    sudo apt-get install $1"
    fi
    command -v apt-get >/dev/null 2>&1 || fail "$2, and there is no apt-get to install $1 with: install it, then run this again."
    say "installing the Debian package $1 ($2)"
    log=$(mktemp)
    if ! quiet_apt install "$1" && ! { quiet_apt update && quiet_apt install "$1"; }; then
        cat "$log" >&2
        rm -f "$log"
        fail "$2, and apt-get could not install it. See above; then run: apt-get install $1"
    fi
    rm -f "$log"
}

quiet_apt() {
    verb=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get "$verb" -qq -y --no-install-recommends "$@" >"$log" 2>&1 </dev/null
}

# The version of an interpreter as 3.NN, or nothing if it does not run.
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
new_enough() { case $1 in 3.1[1-9] | 3.[2-9][0-9]) ;; *) return 1 ;; esac; }
makes_venvs() { "$1" -c 'import ensurepip, venv; ensurepip.version()' >/dev/null 2>&1; }

candidates() {
    if [ -n "${PYTHON:-}" ]; then
        echo "$PYTHON"
    else
        echo python3 /usr/bin/python3 python3.11 python3.12 python3.13
    fi
}

# Sets `python` to the first good interpreter that can make environments; else `bare` to the first good one that cannot.
find_python() {
    python= bare= seen=
    for candidate in $(candidates); do
        version=$(version_of "$candidate")
        [ -z "$version" ] || seen="$seen $candidate is $version;"
        new_enough "$version" || continue
        if makes_venvs "$candidate"; then
            python=$candidate
            return
        fi
        bare=${bare:-$candidate}
    done
}

# Debian ships an interpreter's venv and ensurepip apart from it.
venv_package() {
    if [ "$(version_of "$bare")" = "$(version_of /usr/bin/python3)" ]; then
        echo python3-venv
    else
        echo "python$(version_of "$bare")-venv"
    fi
}

choose_python() {
    find_python
    if [ -z "$python$bare" ]; then
        fail "Uzel needs Python 3.11 or newer;${seen:- no Python was found;} name one with PYTHON=/path/to/python3.11"
    fi
    if [ -z "$python" ]; then
        debian_package "$(venv_package)" "$bare cannot make virtual environments"
        find_python
        [ -n "$python" ] || fail "$bare still cannot make virtual environments (its ensurepip is missing); name another interpreter with PYTHON="
    fi
}

inputs() { cat "$constraints" pyproject.toml tools/setup.sh; }
stamp() { printf '%s %s %s\n' "$(inputs | sha256sum | cut -d' ' -f1)" "${PYTHON:-any}" "$root"; }

# What is set up for testing serves for running too.
is_ready() {
    [ -x $venv/bin/python ] && [ -x $venv/bin/uzel ] || return 1
    for kind in "$purpose" test; do
        [ "$kind" = run ] || constraints=constraints-dev.txt
        [ "$(cat $venv/.setup-$kind 2>/dev/null)" != "$(stamp)" ] || return 0
    done
    return 1
}

# An environment that was moved, interrupted half-way or made by another interpreter is made anew.
venv_is_sound() {
    [ "$($venv/bin/python -c 'import sys; print(sys.prefix)' 2>/dev/null)" = "$root/$venv" ] &&
        new_enough "$(version_of $venv/bin/python)" &&
        { [ -z "${PYTHON:-}" ] || [ "$(version_of $venv/bin/python)" = "$(version_of "$PYTHON")" ]; } &&
        grep -qsF "$root/$venv" $venv/bin/activate &&
        $venv/bin/python -m pip --version >/dev/null 2>&1
}

install_everything() {
    rm -f $venv/.setup-*
    if ! venv_is_sound; then
        choose_python
        say "making $venv/ with $python ($(version_of "$python"))"
        "$python" -m venv --clear $venv
    fi
    say "installing what $constraints names, by hash"
    $venv/bin/python -m pip install --quiet --require-hashes -r "$constraints"
    say "installing uzel itself"
    $venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
}

needs_command() { command -v "$1" >/dev/null 2>&1 || debian_package "$2" "the end-to-end tests need the command $1"; }
if [ "$purpose" = test ]; then
    needs_command ip iproute2
    needs_command nft nftables
    needs_command strace strace
    needs_command faketime faketime
    needs_command openssl openssl
    needs_command chromium chromium
fi
asked=$constraints
if ! is_ready; then
    constraints=$asked
    install_everything
    stamp >$venv/.setup-"$purpose"
    say "ready"
fi
