# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every kind of finding has a situation in which it is found and one in which it is not."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds

from . import __path__ as here
from .fixtures import Fixture, ids

MODULES = [
    importlib.import_module(f"{__package__}.{found.name}")
    for found in pkgutil.iter_modules(here)
    if found.name.startswith("test_") and found.name != "test_fixtures"
]
FIXTURES: list[Fixture] = [fixture for module in MODULES for fixture in getattr(module, "FIXTURES", ())]


def test_every_kind_has_a_fixture() -> None:
    assert set(kinds()) - {fixture.kind for fixture in FIXTURES} == set()


@pytest.mark.parametrize("fixture", FIXTURES, ids=str)
def test_found_and_mended(fixture: Fixture) -> None:
    assert fixture.kind in ids(fixture.fails())
    assert fixture.kind not in ids(fixture.passes())
