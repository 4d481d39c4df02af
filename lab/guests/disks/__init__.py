# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that change their place: moves to another storage, to another guest (pve-facts §3)."""
