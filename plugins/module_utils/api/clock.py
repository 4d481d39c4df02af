# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only clock of the collection, so that tests and rehearsals can run in virtual time."""

from __future__ import annotations

import os
import time

SPEED_VARIABLE = "PVE_MOBILITY_SPEED"


class Clock:
    """Seconds that pass, and waiting for them.

    :param speed: virtual seconds per real second; for rehearsals against a simulated cluster that runs faster than
        real time. Taken from the environment variable ``PVE_MOBILITY_SPEED`` when not given; 1 by default.
    """

    def __init__(self, speed: float | None = None) -> None:
        self.speed = speed if speed is not None else _from_environment()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds / self.speed)


def _from_environment() -> float:
    try:
        speed = float(os.environ.get(SPEED_VARIABLE, "1"))
    except ValueError:
        return 1.0
    return speed if speed > 0 else 1.0
