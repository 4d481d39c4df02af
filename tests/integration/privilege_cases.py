# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each use in the table of privileges: a cluster, and a call of the module that needs just that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import USES, Need, Use
from tests.conformance.client import Lab
from tests.integration.as_user import Grant

CLUSTER: dict[str, Any] = {
    "name": "rights",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": {
        "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir", "size": "8T"},
        "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "size": "2T"},
        "other": {"type": "zfspool", "pool": "other", "content": "images,rootdir", "size": "2T"},
        "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,backup", "size": "100G"},
        "only1": {"type": "dir", "path": "/srv/only1", "content": "images", "size": "1T", "nodes": ["pve1"]},
    },
    "zfs_pools": {"spare": {"nodes": ["pve1", "pve2", "pve3"], "size": "1T"}},
    "guests": {
        100: {"node": "pve1", "name": "web", "memory": "1G", "disk": "ceph:8G"},
        102: {"node": "pve1", "name": "db", "memory": "1G", "disk": {"storage": "tank", "size": "8G", "used": "1G"}},
        103: {
            "node": "pve1",
            "name": "copied",
            "memory": "1G",
            "disk": {"storage": "tank", "size": "8G", "used": "1G"},
            "replicate": ["pve2"],
        },
        110: {"node": "pve1", "name": "ha", "memory": "1G", "disk": "ceph:8G", "ha": True},
        200: {"node": "pve1", "type": "ct", "name": "dns", "memory": "512M", "disk": "tank:4G"},
        300: {"node": "pve3", "name": "pinned", "memory": "1G", "disk": "ceph:8G", "serial0": "/dev/ttyS0"},
    },
    "ha": {"settled": True},
}
NETWORK = {
    "eno1": {},
    "eno2": {"mtu": 9000},
    "vmbr0": {"address": "10.0.0.1<n>/24", "ports": ["eno1"]},
    "vmbr1": {"address": "10.9.0.<n>/24", "ports": ["eno2"], "mtu": 9000},
}
NAMES: dict[str, tuple[str, ...]] = {
    "vmid": ("100",),
    "node": ("pve1",),
    "storage": ("other",),
    "realm": ("pve",),
}


def _nothing(_lab: Lab) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Case:
    """:ivar names: what the names in braces stand for. :ivar before: sets the stage, and gives more options.
    :ivar writes: whether the call has something to do.
    """

    id: str
    options: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    writes: bool = False
    before: Callable[[Lab], Mapping[str, Any]] = _nothing
    cluster: Mapping[str, Any] = field(default_factory=dict)
    besides: tuple[str, ...] = ()
    releases: tuple[str, ...] = ("9.2",)

    @property
    def use(self) -> Use:
        return next(use for use in USES if use.id == self.id)

    def lab(self, release: str) -> Lab:
        return Lab.from_dict({**CLUSTER, "node_defaults": {"release": release, "network": NETWORK}, **self.cluster})

    def needs(self, release: str) -> Iterator[Need]:
        """Those of the use, at this release."""
        number = (int(release[0]), int(release[2]))
        return (need for need in self.use.needs if need.on(number))

    def rights(self, release: str) -> list[Grant]:
        """Those of the use, and what its module needs in any case."""
        number = (int(release[0]), int(release[2]))
        ids = {self.use.module, self.id, *self.besides, *self.use.like}
        ids |= {name for use in USES if use.id in ids for name in use.like}
        needs = [need for use in USES if use.id in ids for need in use.needs if need.on(number)]
        return sorted({right for need in needs for right in self.paths(need)})

    def paths(self, need: Need) -> list[Grant]:
        head, brace, tail = need.path.partition("{")
        if not brace:
            return [(need.path, need.privilege)]
        name = tail.rstrip("}")
        return [(f"{head}{value}", need.privilege) for value in self.names.get(name, NAMES[name])]


def _moving(vmid: int) -> Callable[[Lab], Mapping[str, Any]]:
    """Somebody else moves a guest, and it takes a while."""

    def start(lab: Lab) -> Mapping[str, Any]:
        upid = lab.post(f"/nodes/pve1/qemu/{vmid}/migrate", {"target": "pve2", "online": "1"})
        if vmid == 100:
            return {"tasks": [upid]}
        while next(row for row in lab.get("/cluster/resources") if row.get("vmid") == vmid)["hastate"] != "migrate":
            lab.advance(1)
        return {"guests": [str(vmid)]}

    return start


SLOW = {"datacenter": {"bwlimit": {"migration": 10000}}}
SNIPPET = {**CLUSTER["guests"][102], "cloudinit": "tank"}
DB = {"vmid": ("102",)}
COPIED = {"vmid": ("103",)}
RULE = {"replicas": ["pve1", "pve2"], "schedule": "*/15", "guests": {"vmids": [102]}}
BOTH = ("9.2", "8.4")


def _drain(folder: Path) -> dict[str, Any]:
    return {"node": "pve1", "journal": str(folder / "drain.jsonl")}


def cases(folder: Path) -> list[Case]:
    """:param folder: for files that modules write."""
    drain = _drain(folder)
    on_pve1 = {"vmid": ("100", "102", "103", "110", "200")}
    on_pve3 = {"vmid": ("300",)}
    managed = {**CLUSTER["guests"], 300: {**CLUSTER["guests"][300], "ha": True}}
    return [
        Case("cluster_info", {"subset": ["all"]}),
        Case("cluster_info.volumes", {"subset": ["all"]}, cluster={"guests": {102: SNIPPET}}),
        Case("follow", {"guests": ["100"], "for_seconds": 5}),
        Case("follow.ha", {"for_seconds": 40}, {"vmid": ("110",)}, before=_moving(110), cluster=SLOW),
        Case("follow.task", {"for_seconds": 40}, before=_moving(100)),
        Case("migrate", {"guest": "100", "target": ["pve2"]}, writes=True),
        Case("migrate.ha", {"guest": "110", "target": ["pve2"]}, {"vmid": ("110",)}, True),
        Case("migrate.target_storage", {"guest": "102", "target": ["pve2"], "target_storage": "other"}, DB, True),
        Case("migrate.sync", {"guest": "103", "target": ["pve2"], "sync_first": True}, COPIED, True, releases=BOTH),
        Case("move_disk", {"guest": "102", "disk": ["scsi0"], "storage": "other"}, DB, True),
        Case(
            "move_disk.stop",
            {"guest": "200", "disk": ["rootfs"], "storage": "other", "allow_stop": True},
            {"vmid": ("200",)},
            True,
        ),
        Case("replication_info", {}),
        Case("failover_info", {}),
        Case("failover_info.backups", {}),
        Case("replication_job", {"guest": "102", "replicas": ["pve1", "pve2"]}, DB, True, releases=BOTH),
        Case("replication_policy", {"rules": [RULE], "ha": "ignore"}, DB, True, releases=BOTH),
        Case("replication_policy.ha", {"rules": [RULE]}, DB, True),
        Case(
            "replication_policy.ha_create",
            {"rules": [{**RULE, "guests": {"vmids": [103]}}], "ha": "create"},
            COPIED,
            True,
            cluster={"guests": {**CLUSTER["guests"], 103: {**CLUSTER["guests"][103], "ha": True}}},
            besides=("replication_policy.ha",),
        ),
        Case("drain", drain, on_pve1, True),
        Case("drain.target_storage", {**drain, "target_storage": "other"}, on_pve1, True),
        Case("drain.sync", {**drain, "sync_max_age": 0}, on_pve1, True, releases=BOTH),
        Case("drain.stop", {**drain, "node": "pve3", "policy": {"pinned": "stop"}}, on_pve3, True),
        Case(
            "drain.stop_ha",
            {**drain, "node": "pve3", "policy": {"pinned": "stop"}},
            on_pve3,
            True,
            cluster={"guests": managed},
        ),
        Case("drain_storage", {"storage": "tank", "targets": ["other"], "nodes": ["pve1"]}, DB, True),
        Case(
            "drain_storage.stop",
            {"storage": "tank", "targets": ["other"], "allow_stop": True},
            {"vmid": ("200",)},
            True,
        ),
        Case("cluster_ready", {"checks": ["quorum", "nodes"]}),
        Case("cluster_ready.node", {"checks": ["quorum", "nodes"], "node": "pve2"}),
        Case("cluster_ready.backups", {"checks": ["backups"]}),
        Case("cluster_ready.replication", {"checks": ["replication"]}),
        Case("cluster_options", {"max_workers": 3}, writes=True),
        Case("cluster_options.network", {"migration": {"network": "10.9.0.0/24"}}, writes=True),
        Case("migration_network_info", {"networks": ["10.9.0.0/24"], "recent": 0}),
        Case("migration_network_info.recent", {"networks": ["10.9.0.0/24"], "recent": 1}),
        Case("zfs_storage", {"storage": "tank", "sparse": True}, writes=True),
        Case("zfs_storage.gain", {"storage": "spare", "pool": "spare"}, writes=True),
        Case("zfs_storage.lose", {"storage": "tank", "nodes": ["pve1", "pve2"]}, writes=True),
        Case("zfs_storage_info", {"storages": {"tank": {"pool": "tank"}}}),
        Case("zfs_storage_info.recent", {"storages": {"tank": {"pool": "tank"}}, "recent": 1}),
        Case("zfs_storage_info.datasets", {"storages": {"tank": {"pool": "tank"}}}),
        Case(
            "api_access",
            {"features": ["audit"], "user": "new@pve", "secret_file": str(folder / "secret")},
            writes=True,
        ),
    ]
