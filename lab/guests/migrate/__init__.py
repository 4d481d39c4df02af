# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving guests from node to node (pve-facts §1)."""

from __future__ import annotations

from lab.guests.migrate.request import check_lxc, check_qemu, ha_migrate, resolve_target, start

__all__ = ["check_lxc", "check_qemu", "ha_migrate", "resolve_target", "start"]
