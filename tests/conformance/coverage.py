# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which recordings does no scene replay? ``python -m tests.conformance.coverage``"""

from __future__ import annotations

from tests.conformance.scene import RECORDED, Scene, scene_files


def replayed() -> set[str]:
    """Names of all recordings that scenes replay, tasks that are followed included."""
    names: set[str] = set()
    for path in scene_files():
        for name in Scene.load(path).names():
            names |= {name, f"{name}.task-status", f"{name}.task-log"}
    return names


def not_replayed() -> list[str]:
    return sorted({path.stem for path in RECORDED.glob("*.json")} - replayed())


if __name__ == "__main__":
    left = not_replayed()
    total = len(list(RECORDED.glob("*.json")))
    print(f"{total - len(left)} of {total} recordings are replayed; not: {' '.join(left)}")
