# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random clusters: a plausible one to begin with, then none to three things that may stand in the way of a move."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

from lab.cluster_file import load
from lab.cluster_file.reader import ClusterFileError
from tests.agreement.case import Case

GUEST = 100
"""The number of the guest that is to move."""
LOCAL = {
    "zfspool": {"type": "zfspool", "pool": "tank", "content": "images,rootdir"},
    "lvmthin": {"type": "lvmthin", "vgname": "pve", "thinpool": "data", "content": "images,rootdir"},
    "lvm": {"type": "lvm", "vgname": "vg0", "content": "images,rootdir"},
    "dir": {"type": "dir", "path": "/srv/disks", "content": "images,rootdir"},
    "btrfs": {"type": "btrfs", "path": "/srv/btrfs", "content": "images,rootdir"},
}
SHARED = {
    "rbd": {"type": "rbd", "pool": "vms", "content": "images,rootdir"},
    "nfs": {"type": "nfs", "server": "10.0.0.5", "export": "/pve", "content": "images,rootdir,iso,snippets"},
    "shared lvm": {"type": "lvm", "vgname": "san", "shared": 1, "content": "images,rootdir"},
}
INTEL = ("xeon-e5-2680v2", "xeon-e5-2680v4", "xeon-gold-6148", "xeon-gold-6338", "xeon-gold-6430")
AMD = ("epyc-7302", "epyc-7543", "epyc-9354")
RELEASES = ("8.4", "9.0", "9.1", "9.2")


@dataclass
class World:
    """What is drawn, while it is drawn. ``subject`` is the guest that is to move from ``source`` to ``target``."""

    rng: random.Random
    names: list[str]
    source: str
    target: str
    cluster: dict[str, Any]
    mode: str = "auto"
    with_local_disks: bool = True
    storage_map: dict[str, str] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)
    busy: str = ""

    @property
    def subject(self) -> dict[str, Any]:
        guest: dict[str, Any] = self.cluster["guests"][GUEST]
        return guest

    @property
    def is_vm(self) -> bool:
        return self.subject.get("type", "vm") == "vm"

    @property
    def running(self) -> bool:
        return bool(self.subject.get("running", True)) and "template" not in self.subject

    @property
    def local(self) -> str:
        """The type of the storage ``tank``, which is local."""
        return str(self.cluster["storages"]["tank"]["type"])

    def release(self, node: str) -> tuple[int, ...]:
        return tuple(int(part) for part in str(self.cluster["nodes"][node].get("release", "9.2")).split("."))

    @property
    def oldest(self) -> tuple[int, ...]:
        return min(self.release(name) for name in self.names)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def storages_of_subject(self) -> list[str]:
        """Storages that its disks are on."""
        text = str([value for key, value in self.subject.items() if key not in ("name", "net", "ha")])
        return [name for name in self.cluster["storages"] if f"'{name}:" in text or f"'{name}'" in text]

    def free_key(self, prefix: str) -> str:
        return next(key for key in (f"{prefix}{number}" for number in range(30)) if key not in self.subject)

    def neighbour(self, node: str | None = None, **more: Any) -> int:
        """Another guest."""
        vmid = max(self.cluster["guests"]) + 1
        home = node or self.rng.choice(self.names)
        self.cluster["guests"][vmid] = {
            "node": home,
            "name": f"guest{vmid}",
            "memory": "1G",
            "disk": "common:4G",
            **more,
        }
        return vmid


def draw(seed: int) -> Case:
    """The case of a seed. Twists that together make no cluster, such as a disk on a storage without it, are redrawn."""
    for attempt in itertools.count():
        case = _drawn(seed, random.Random(seed * 1000 + attempt))
        try:
            load(case.cluster)
        except ClusterFileError:
            assert attempt < 20, f"seed {seed} makes no cluster that the lab can load"
        else:
            return case
    raise AssertionError("unreachable")


def _drawn(seed: int, rng: random.Random) -> Case:
    from tests.agreement.twists import TWISTS  # twists need the world that is made here

    world = _plausible(rng)
    for twist in rng.sample(TWISTS, rng.choices((0, 1, 2, 3), (1, 5, 4, 2))[0]):
        note = twist(world)
        if note:
            world.drawn.append(note)
    return Case(
        seed, world.cluster, GUEST, world.target, world.mode, world.with_local_disks, world.storage_map,
        tuple(world.drawn), world.busy,
    )  # fmt: skip


def _plausible(rng: random.Random) -> World:
    """A cluster in which most moves succeed."""
    names = [f"pve{number}" for number in range(1, rng.choice((2, 3, 3, 3, 4)) + 1)]
    source, target = rng.sample(names, 2)
    release = rng.choices(RELEASES, (2, 2, 2, 6))[0]
    cpu = rng.choice(INTEL + AMD)
    nodes = {name: {"release": release, "cpu": cpu, "memory": "64G"} for name in names}
    local = {**LOCAL[rng.choice(list(LOCAL))], "size": "1T"}
    if local["type"] == "zfspool" and rng.random() < 0.7:
        local["sparse"] = True
    storages = {
        "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,vztmpl,backup,snippets", "size": "100G"},
        "tank": local,
        "shared": {**SHARED[rng.choice(list(SHARED))], "size": "10T"},
        "common": {"type": "rbd", "pool": "others", "content": "images,rootdir", "size": "10T"},
        "media": {
            "type": "nfs",
            "server": "10.0.0.6",
            "export": "/iso",
            "content": "iso,snippets,backup",
            "size": "10T",
        },
    }
    vm = rng.random() < 0.7
    subject: dict[str, Any] = {"node": source, "name": "subject", "memory": rng.choice(("512M", "1G", "4G"))}
    if vm:
        subject |= _vm_disks(rng)
    else:
        subject |= {"type": "ct", "rootfs": rng.choice(("tank:2G", "shared:2G"))}
        if rng.random() < 0.3:
            subject["mp0"] = rng.choice(("tank:1G,mp=/srv", "shared:1G,mp=/srv,backup=1"))
    if rng.random() < 0.35:
        subject["running"] = False
    cluster: dict[str, Any] = {
        "name": "drawn",
        "seed": rng.randrange(10**6),
        "nodes": nodes,
        "storages": storages,
        "guests": {GUEST: subject},
    }
    world = World(rng, names, source, target, cluster)
    for _guest in range(rng.choice((0, 1, 2))):
        world.neighbour()
    return world


def _vm_disks(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in range(rng.choice((1, 1, 2))):
        bus = rng.choice(("scsi", "virtio", "sata"))
        found[f"{bus}{number}"] = f"{rng.choice(('tank', 'shared'))}:{rng.choice((1, 4))}G"
    return found
