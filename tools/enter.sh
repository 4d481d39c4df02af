#!/bin/sh
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs tools/enter.py with the Python that tools/python.sh finds: sh tools/enter.sh PROFILE COMMAND...
set -u
python=$(sh tools/python.sh) || exit 2
exec "$python" -m tools.enter "$@"
