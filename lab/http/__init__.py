# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client meets on the wire: TLS, routing, parameter and permission checks, proxying."""
