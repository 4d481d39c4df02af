# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File locks with a time limit, as flock-based locks of Proxmox VE behave."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import simpy

from lab.errors import Die
from lab.sim.engine import Engine, Sim


class Locks:
    """Exclusive locks by ``(node, path)``; waiters are served in order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._holders: dict[tuple[str, str], Hashable] = {}
        self._queues: dict[tuple[str, str], deque[simpy.Event]] = {}

    def held(self, node: str, path: str) -> bool:
        return (node, path) in self._holders

    def acquire(self, node: str, path: str, timeout: float, owner: Hashable) -> Sim:
        """Wait at most ``timeout`` seconds.

        :raises Die: ``can't lock file '<path>' - got timeout``.
        """
        key = (node, path)
        if key not in self._holders:
            self._holders[key] = owner
            return
        turn = self._engine.event()
        queue = self._queues.setdefault(key, deque())
        queue.append(turn)
        try:
            yield turn | self._engine.sleep(timeout)
        except simpy.Interrupt:
            self._give_up(key, turn)
            raise
        if not turn.triggered:
            queue.remove(turn)
            raise Die(f"can't lock file '{path}' - got timeout")
        self._holders[key] = owner

    def release(self, node: str, path: str, owner: Hashable) -> None:
        """Give the lock to the next waiter; harmless when ``owner`` does not hold it."""
        key = (node, path)
        if self._holders.get(key) != owner:
            return
        self._pass_on(key)

    def release_all(self, owner: Hashable) -> None:
        """The process ``owner`` is gone: the kernel drops its locks."""
        for key in [key for key, holder in self._holders.items() if holder == owner]:
            self._pass_on(key)

    def _pass_on(self, key: tuple[str, str]) -> None:
        queue = self._queues.get(key)
        if queue:
            self._holders[key] = "next"
            queue.popleft().succeed()
        else:
            del self._holders[key]

    def _give_up(self, key: tuple[str, str], turn: simpy.Event) -> None:
        if turn.triggered:
            self._pass_on(key)
        else:
            self._queues[key].remove(turn)
