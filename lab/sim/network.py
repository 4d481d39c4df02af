# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bandwidth: transfers share the links they cross, max-min fair, and each may have a cap of its own.

A :class:`Pipe` is anything with a capacity in bytes/s: a node's port in one network and direction, a disk. A
:class:`Transfer` crosses several pipes at once. Whenever a transfer starts, ends or changes its cap the rates are
computed again, so progress at any moment is exact and independent of how often anybody looks.
"""

from __future__ import annotations

from collections.abc import Iterable

import simpy

from lab.sim.engine import Engine, Sim

MOMENT = 1e-6
"""Seconds: what would take less is done at once, or the clock's precision would never let it end."""


class Pipe:
    """Something with a bandwidth.

    :param capacity: bytes/s.
    """

    __slots__ = ("capacity", "name", "transfers")

    def __init__(self, name: str, capacity: float) -> None:
        self.name = name
        self.capacity = capacity
        self.transfers: dict[Transfer, None] = {}


class Transfer:
    """Bytes under way. ``done`` grows continuously; ``finished`` fires when ``total`` is reached.

    ``rate`` is bytes/s at this moment. ``total`` may be raised while running (memory that is dirtied again).
    """

    __slots__ = ("_done", "_since", "cap", "closed", "finished", "pipes", "rate", "total", "world")

    def __init__(self, world: Network, pipes: Iterable[Pipe], total: float, cap: float | None) -> None:
        self.world = world
        self.pipes = tuple(pipes)
        self.total = float(total)
        self.cap = cap
        self.rate = 0.0
        self.closed = False
        self.finished: simpy.Event = world.engine.event()
        self._done = 0.0
        self._since = world.engine.env.now

    @property
    def done(self) -> float:
        """Bytes carried so far."""
        elapsed = self.world.engine.env.now - self._since
        return min(self.total, self._done + self.rate * elapsed)

    @property
    def remaining(self) -> float:
        return self.total - self.done

    def complete(self) -> None:
        """The last bytes have arrived."""
        self._done = self.total

    def settle(self) -> None:
        self._done = self.done
        self._since = self.world.engine.env.now


class Network:
    """All transfers of a lab."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._active: dict[Transfer, None] = {}
        self._generation = 0

    def start(self, pipes: Iterable[Pipe], total: float, cap: float | None = None) -> Transfer:
        """Begin to carry ``total`` bytes across ``pipes``; ``cap`` in bytes/s (None: no own limit)."""
        transfer = Transfer(self, pipes, total, cap)
        self._active[transfer] = None
        for pipe in transfer.pipes:
            pipe.transfers[transfer] = None
        self._share()
        return transfer

    def stop(self, transfer: Transfer) -> None:
        """End a transfer early (cancelled, connection lost); harmless when it has ended."""
        if transfer.closed:
            return
        transfer.settle()
        self._close(transfer)
        self._share()

    def change(self, transfer: Transfer, *, total: float | None = None, cap: float | None = None) -> None:
        """Set a new total and/or cap of a running transfer."""
        transfer.settle()
        if total is not None:
            transfer.total = total
        if cap is not None:
            transfer.cap = cap
        self._share()

    def carry(self, pipes: Iterable[Pipe], total: float, cap: float | None = None) -> Sim:
        """Carry bytes and wait for the end; an interrupt stops the transfer."""
        transfer = self.start(pipes, total, cap)
        try:
            yield transfer.finished
        finally:
            self.stop(transfer)

    def _close(self, transfer: Transfer) -> None:
        transfer.closed = True
        transfer.rate = 0.0
        del self._active[transfer]
        for pipe in transfer.pipes:
            pipe.transfers.pop(transfer, None)

    def _share(self) -> None:
        """Max-min fair rates by progressive filling, then wait for the first transfer to end."""
        for transfer in self._active:
            transfer.settle()
        for transfer in [t for t in self._active if t.remaining <= max(1e-6, t.rate * MOMENT)]:
            transfer.complete()
            self._close(transfer)
            transfer.finished.succeed()
        open_transfers = dict(self._active)
        left = {pipe: pipe.capacity for transfer in open_transfers for pipe in transfer.pipes}
        count = {pipe: len(pipe.transfers) for pipe in left}
        while open_transfers:
            share, tightest = min(
                ((left[pipe] / count[pipe], pipe) for pipe in left if count[pipe]),
                key=lambda item: item[0],
                default=(None, None),
            )
            capped = [t for t in open_transfers if t.cap is not None and (share is None or t.cap <= share)]
            if capped:
                fixed = [(t, float(t.cap or 0.0)) for t in capped]
            elif tightest is None or share is None:
                fixed = [(t, 1e12) for t in open_transfers]
            else:
                fixed = [(t, share) for t in tightest.transfers if t in open_transfers]
            for transfer, rate in fixed:
                transfer.rate = rate
                del open_transfers[transfer]
                for pipe in transfer.pipes:
                    left[pipe] = max(0.0, left[pipe] - rate)
                    count[pipe] -= 1
        self._generation += 1
        ends = [t.remaining / t.rate for t in self._active if t.rate > 0]
        if ends:
            self.engine.spawn(self._wake(self._generation, min(ends)))

    def _wake(self, generation: int, after: float) -> Sim:
        yield self.engine.sleep(after)
        if generation == self._generation:
            self._share()
