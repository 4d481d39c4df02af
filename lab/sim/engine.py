# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual time: a simpy environment that is driven by the wall clock, by requests, or by hand.

Everything that takes time in the lab is a simpy process. Three ways to let time pass:

* ``speed`` > 0: virtual time runs ``speed`` times as fast as the wall clock;
* ``speed`` = 0 ("jump"): time stands still between requests; each request lets it run to the next event, at most
  :data:`JUMP_STEP` seconds, so that the sequence of requests alone decides the run;
* by hand: :meth:`Engine.advance`, used by tests that run in process.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from typing import Any

import simpy

JUMP_STEP = 1.0
"""Seconds of virtual time that one request lets pass at most in jump mode (a poller's usual second)."""

Sim = Generator[simpy.Event, Any, Any]
"""A simulated activity: yields simpy events, may return a value."""


class Engine:
    """The clock of one lab.

    :param epoch: Unix time at which the lab starts (seconds).
    :param speed: virtual seconds per wall-clock second; 0 for jump mode.
    :param seed: of every random choice, so that the same input gives the same run.
    """

    def __init__(self, epoch: float, speed: float = 1.0, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.epoch = epoch
        self.speed = speed
        self.random = random.Random(seed)
        self._wall_start: float | None = None

    @property
    def now(self) -> float:
        """Unix time in the lab, seconds with fraction."""
        return self.epoch + self.env.now

    @property
    def jump(self) -> bool:
        return self.speed == 0

    def start_wall_clock(self) -> None:
        """From now on :meth:`pump` follows the wall clock."""
        self._wall_start = time.monotonic() - (self.env.now / self.speed if self.speed else 0.0)

    def set_speed(self, speed: float) -> None:
        """Change the speed while running; virtual time does not jump."""
        self.pump()
        self.speed = speed
        self.start_wall_clock()

    def pump(self) -> None:
        """Let virtual time catch up with the wall clock (nothing to do in jump mode or before the start)."""
        if self._wall_start is None or not self.speed:
            return
        self.run_until((time.monotonic() - self._wall_start) * self.speed)

    def run_until(self, when: float) -> None:
        """Process every event up to and including ``when`` (seconds since the start of the lab)."""
        while self.env.peek() <= when:
            self.env.step()
        if when > self.env.now:
            self.env.run(until=when)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass at once; the wall clock goes on from there."""
        self.pump()
        self.run_until(self.env.now + seconds)
        if self._wall_start is not None:
            self.start_wall_clock()

    def jump_once(self) -> None:
        """Jump mode: run to the next event, but not further than :data:`JUMP_STEP`."""
        self.run_until(min(self.env.peek(), self.env.now + JUMP_STEP))

    def wall_seconds_to_next_event(self, most: float) -> float:
        """How long the driver may sleep before the next event is due."""
        if not self.speed or self._wall_start is None:
            return most
        due = self._wall_start + self.env.peek() / self.speed - time.monotonic()
        return min(most, max(0.0, due))

    def sleep(self, seconds: float) -> simpy.Event:
        return self.env.timeout(max(0.0, seconds))

    def spawn(self, activity: Sim) -> simpy.Process:
        return self.env.process(activity)

    def event(self) -> simpy.Event:
        return self.env.event()

    def every(self, seconds: float, action: Callable[[], None], first_after: float | None = None) -> simpy.Process:
        """Call ``action`` each ``seconds``; the daemons of a node work like this."""

        def loop() -> Sim:
            yield self.sleep(seconds if first_after is None else first_after)
            while True:
                action()
                yield self.sleep(seconds)

        return self.spawn(loop())
