#!/bin/sh
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints the path of the newest suitable Python, or of the one of the wanted version: sh tools/python.sh [3.11]
# PYTHON=/some/python in the environment chooses one by hand.
set -u

# A name on the path proves nothing (version managers put stand-ins there that fail), so each one is really run.
suitable() {
    "$1" -c "import sys, ctypes, ensurepip, ssl, venv
version = sys.version_info[:2]
sys.exit(version < (3, 11) or '$wanted' not in ('', '%d.%d' % version))" >/dev/null 2>&1
}

try() {
    if [ -x "$1" ] && suitable "$1"; then
        printf '%s\n' "$1"
        exit 0
    fi
}

on_path() {
    rest=$PATH:
    while [ -n "$rest" ]; do
        folder=${rest%%:*}
        rest=${rest#*:}
        try "${folder:-.}/$1"
    done
}

# Where pyenv and uv keep the versions that they installed but did not select.
in_store() {
    for found in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}/versions/$1".*/bin/python3 \
        "${XDG_DATA_HOME:-${HOME:-/nonexistent}/.local/share}/uv/python/cpython-$1".*/bin/python3; do
        try "$found"
    done
}

wanted=${1:-}
if [ -n "${PYTHON:-}" ]; then
    try "$(command -v "$PYTHON" || true)"
    echo "PYTHON=$PYTHON is not a Python of 3.11 or newer with its venv, ensurepip and ssl modules: choose another," \
        "or leave PYTHON empty to have one found." >&2
    exit 2
fi
# 3.14 comes last: it works with the newest ansible-core, but is not among the tested ones.
for version in ${wanted:-3.13 3.12 3.11 3.14}; do
    on_path "python$version"
    in_store "$version"
done
on_path python3
on_path python
echo "No suitable Python was found: install Python ${wanted:-3.11, 3.12 or 3.13} with its venv module (on Debian and" \
    "Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3." >&2
exit 2
