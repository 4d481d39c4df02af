# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements, run by hand: ``make bench``. Figures go to build/bench.json, one plain number a key."""
