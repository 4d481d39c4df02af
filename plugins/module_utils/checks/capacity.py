# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory and processors of the target: what is promised there already, and what comes along."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.load import NONE, Load
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts

MEMORY = Kind(
    "memory",
    Severity.BLOCK,
    "The running guest does not fit into the memory of the target beside those that are there or on their way.",
    "Proxmox VE starts the move all the same. It fails when the memory cannot be had, or it succeeds, and later the"
    " kernel of the target kills a guest. Guests there count with what ballooning leaves them, or with what they"
    " use now, if that is more.",
    "choose another target, or move something away from there first",
    "bytes that the guest needs, that are promised and used on the target, and that it has",
)
HEADROOM = Kind(
    "memory-headroom",
    Severity.WARN,
    "With the guest, less of the target's memory stays free than the threshold asks for: if every guest there used all"
    " that it may use, or with what the node uses now, caches of ZFS and Ceph included.",
    "Guests that grow make the node swap, or ballooning takes memory from them; and the node cannot take more guests"
    " when another one fails.",
    "choose another target, or set the threshold memory_headroom as you run your cluster",
    "bytes that the guest needs, that are promised and used on the target, and that it has; the threshold in per cent",
)
TOO_BIG = Kind(
    "memory-too-big",
    Severity.BLOCK,
    "The VM has more memory than the whole target. For a VM that does not run this is a warning: it moves, but does not"
    " start there.",
    "QEMU cannot set up its memory, so the start on the target fails.",
    "choose a bigger node, or give the VM less memory",
    "bytes of either",
    enforced=True,
)
TOO_MANY = Kind(
    "cpu-too-many",
    Severity.BLOCK,
    "The VM has more virtual CPUs than the target has threads. For a VM that does not run this is a warning: it moves,"
    " but does not start there.",
    "Proxmox VE refuses to start such a VM, on the target of a live move too.",
    "choose a bigger node, or give the VM fewer cores",
    "virtual CPUs, threads of the target",
    enforced=True,
)
CPUS = Kind(
    "cpu-headroom",
    Severity.WARN,
    "With the guest, the target has more virtual CPUs for each thread than the threshold allows.",
    "Guests wait for each other, and a live move of a busy VM takes longer to converge.",
    "choose another target, or set the threshold cpu_overcommit as you run your cluster",
    "virtual CPUs on the target with the guest, threads of the target, the threshold",
)

GIB = 2**30


def memory(move: MoveFacts) -> Iterator[Finding]:
    """Guests on their way there count as arrived; those that leave first as gone."""
    target, guest = move.target, move.guest
    if not target.maxmem or not guest.maxmem:
        return
    if guest.type == "qemu" and guest.maxmem > target.maxmem:
        yield TOO_BIG.found(
            f"{guest.label} has {_gib(guest.maxmem)} of memory, and {target.name} only {_gib(target.maxmem)}"
            f"{'' if move.live else ', so it would not start there'}",
            severity=None if move.live else Severity.WARN,
            guest=guest.vmid,
            node=target.name,
            needs=guest.maxmem,
            has=target.maxmem,
        )
        return
    need, there = _need(move), _there(move)
    if not need.memory:
        return
    if max(there.least, there.used) + need.memory > target.maxmem:
        taken = (
            f"{_gib(there.least)} are promised"
            if there.least >= there.used
            else f"guests use {_gib(there.used)}{', or are on their way' if move.arriving else ''},"
        )
        yield MEMORY.found(
            f"{guest.label} needs {_gib(need.memory)} on {target.name}, where {taken} of {_gib(target.maxmem)}",
            guest=guest.vmid,
            node=target.name,
            needs=need.memory,
            promised=there.least,
            used=there.used,
            has=target.maxmem,
        )
        return
    # What the node uses beside its guests may be a cache that shrinks (ZFS), or not (Ceph): the API does not tell.
    used = max(target.mem - move.state.load_on(target.name).used, 0) + there.used
    if max(there.memory, used) + need.memory > target.maxmem * (1 - move.thresholds.memory_headroom / 100):
        what = "promised" if there.memory >= used else "in use"
        share = (max(there.memory, used) + need.memory) / target.maxmem * 100
        yield HEADROOM.found(
            f"with {guest.label}, {share:.0f} % of the memory of {target.name} are {what}, and"
            f" {move.thresholds.memory_headroom:g} % are to stay free",
            guest=guest.vmid,
            node=target.name,
            needs=need.memory,
            promised=there.memory,
            used=used,
            has=target.maxmem,
            headroom=move.thresholds.memory_headroom,
        )


def processors(move: MoveFacts) -> Iterator[Finding]:
    """Threads are what the node counts as CPUs."""
    target, guest, config = move.target, move.guest, move.config
    threads = int(target.maxcpu)
    if not threads:
        return
    if guest.type == "qemu":
        cpus = config.cores * config.sockets if config is not None else int(guest.maxcpu)
        if cpus > threads:
            yield TOO_MANY.found(
                f"{guest.label} has {cpus} virtual CPUs, and {target.name} has {threads} threads"
                f"{'' if move.live else ', so it would not start there'}",
                severity=None if move.live else Severity.WARN,
                guest=guest.vmid,
                node=target.name,
                cpus=cpus,
                threads=threads,
            )
            return
    need = _need(move).cpus
    total = _there(move).cpus + need
    if need and total > threads * move.thresholds.cpu_overcommit:
        yield CPUS.found(
            f"with {guest.label}, {target.name} has {total:g} virtual CPUs on {threads} threads, more than"
            f" {move.thresholds.cpu_overcommit:g} for each",
            guest=guest.vmid,
            node=target.name,
            cpus=total,
            threads=threads,
            overcommit=move.thresholds.cpu_overcommit,
        )


def _need(move: MoveFacts) -> Load:
    """Of the guest, and of those that an HA rule moves along."""
    state, target = move.state, move.target.name
    found = state.load_of(move.guest.vmid)
    for sid in move.precondition.dependents:
        number = sid.rpartition(":")[2]
        partner = state.guest(int(number)) if number.isdigit() else None
        if partner is not None and partner.node != target and partner.vmid not in move.arriving:
            found += state.load_of(partner.vmid)
    return found


def _there(move: MoveFacts) -> Load:
    state = move.state
    found = state.load_on(move.target.name)
    for vmid in move.arriving:
        arriving = state.load_of(vmid)
        # It keeps what it may use: nothing takes memory from a guest while it arrives.
        found += Load(arriving.memory, arriving.memory, arriving.memory, arriving.cpus)
    leaving = NONE
    for vmid in move.leaving:
        leaving += state.load_of(vmid)
    return found - leaving if leaving is not NONE else found


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size % GIB else f"{size // GIB} GiB"
