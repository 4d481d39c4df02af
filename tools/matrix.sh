#!/bin/sh
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs what depends on ansible-core under pairs of a Python and a profile of tools/enter.py: sh tools/matrix.sh 3.12 core-2.20
# A Python that is not here is said, not passed over in silence. TESTS chooses other tests than those of plugins, and
# SANITY=yes adds the sanity tests of that ansible-core.
set -u
TESTS=${TESTS:-tests/unit tests/integration/test_migrate.py tests/package/test_alone.py}
SANITY=${SANITY:-}
export TESTS SANITY
failed=''
while [ $# -ge 2 ]; do
    version=$1 profile=$2
    shift 2
    if python=$(PYTHON='' sh tools/python.sh "$version" 2>/dev/null); then
        printf '\n── Python %s, %s\n' "$version" "$profile"
        PYTHON=$python sh tools/enter.sh "$profile" sh -c '
            ansible --version | sed -n 1p
            python -m pytest -q --numprocesses 2 --dist loadfile $TESTS || exit 1
            [ -z "$SANITY" ] || python -m tools.check sanity' ||
            failed="$failed Python $version with $profile,"
    else
        printf '\n── nothing was run with Python %s and %s: that Python was not found\n' "$version" "$profile"
    fi
done
[ -z "$failed" ] || { echo "These failed:${failed%,}." >&2; exit 1; }
