# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rulebooks are found in a collection that is installed."""

from __future__ import annotations

from tests.package.conftest import archive, outside

__all__ = ["archive", "outside"]
