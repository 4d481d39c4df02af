# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage replication: jobs, their schedule, their runs (pve-facts §6)."""
