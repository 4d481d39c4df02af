# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab answers as the genuine cluster did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.scene import Replay, Scene, scene_files


@pytest.mark.parametrize("path", scene_files(), ids=lambda path: path.stem)
def test_scene(path: Path) -> None:
    replay = Replay(Scene.load(path))
    found = replay.run()
    assert replay.replayed, "the scene replays nothing"
    assert not found, "\n" + "\n".join(found)
