# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Proxmox VE cluster: files, nodes, volumes, tasks, locks, users."""
