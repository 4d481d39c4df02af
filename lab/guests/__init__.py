# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What virtual machines and containers do: start, stop, migrate, replicate."""
