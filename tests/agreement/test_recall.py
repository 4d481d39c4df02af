# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the precondition call of Proxmox VE alone knows of the situations that block."""

from __future__ import annotations

from tests.agreement.recall import of_fixtures


def test_fixtures_of_all_checks_are_counted_once() -> None:
    found = of_fixtures()
    assert found.ours == found.situations > 60
    assert 10 < found.precondition < found.situations / 2
