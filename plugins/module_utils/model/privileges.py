# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one table of privileges: what each module asks of Proxmox VE, for what, on which path, and what happens without.

Checks before a first write, the module and role ``api_access``, the page of privileges and the tests all read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from ansible_collections.pve.mobility.plugins.module_utils.model.release import Release


class Lack(Enum):
    """What happens without a privilege."""

    FAILS = "fails"
    """The module fails, names privilege and path, and has changed nothing that it would have to undo."""
    UNKNOWN = "unknown"
    """The result says which part is unknown, and by the lack of which privilege."""
    LESS = "less"
    """It works; ``Need.lost`` says what it does without."""


@dataclass(frozen=True, slots=True)
class Need:
    """A privilege on a path. ``path``: a name in braces stands for one thing, without it all of a kind is meant.

    :ivar since: the first release that asks for it. :ivar until: the first that does not any more.
    """

    privilege: str
    path: str
    lack: Lack = Lack.FAILS
    lost: str = ""
    since: Release | None = None
    until: Release | None = None

    @property
    def reads(self) -> bool:
        """Whether it only lets one see."""
        return self.privilege.endswith(".Audit")

    def on(self, release: Release) -> bool:
        """Whether a node of this release asks for it."""
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)


@dataclass(frozen=True, slots=True)
class Use:
    """What a module needs, or needs beside that when ``when`` holds.

    :ivar like: modules whose needs it has as well.
    """

    module: str
    name: str
    when: str
    needs: tuple[Need, ...]
    like: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True, slots=True)
class Feature:
    """What an account may be for.

    :ivar theft: what somebody could do with a stolen token. :ivar limit: how to make that less.
    """

    name: str
    what: str
    uses: tuple[str, ...]
    theft: str
    limit: str


def _unknown(privilege: str, path: str) -> Need:
    return Need(privilege, path, Lack.UNKNOWN)


def _less(privilege: str, path: str, lost: str) -> Need:
    return Need(privilege, path, Lack.LESS, lost)


GUEST, GUESTS = "/vms/{vmid}", "/vms"
STORAGE, STORAGES = "/storage/{storage}", "/storage"
SEE = Need("VM.Audit", GUEST)
SEE_ALL = Need("VM.Audit", GUESTS)
CLUSTER = Need("Sys.Audit", "/")
NODES = Need("Sys.Audit", "/nodes")
REPLICATE = (
    Need("VM.Replicate", GUEST, since=(9, 0)),
    Need("Datastore.Allocate", STORAGES, until=(9, 0)),
)
"""pve-facts §6.1."""
_ADOPT = "a move that somebody else, or the HA manager, has begun is seen, but not its task, its figures and its cause"
_SIGHT = (
    SEE_ALL,
    CLUSTER,
    NODES,
    Need("Datastore.Audit", STORAGES),
    Need("SDN.Audit", "/sdn/zones"),
    Need("Mapping.Audit", "/mapping"),
)
"""What a plan needs that moves guests: with less it would fit only on paper."""
_SNAPSHOT = (
    _unknown("Sys.Audit", "/"),
    _unknown("Sys.Audit", "/nodes"),
    _unknown("VM.Audit", GUESTS),
    _unknown("Datastore.Audit", STORAGES),
    _unknown("SDN.Audit", "/sdn/zones"),
    _unknown("Mapping.Audit", "/mapping"),
)

USES: tuple[Use, ...] = (
    Use("cluster_info", "", "", _SNAPSHOT),
    Use("cluster_info", "volumes", "snippets of containers and VMs are to be looked for", (
        _unknown("Datastore.Allocate", STORAGES),
    )),
    Use("preflight", "", "", (), like=("cluster_info",)),
    Use("upgrade_plan", "", "", _SIGHT),
    Use("follow", "", "", (
        SEE,
        _less("Sys.Audit", "/nodes/{node}", _ADOPT),
    )),
    Use("follow", "ha", "a guest is under HA", (CLUSTER,)),
    Use("follow", "task", "the task is of somebody else", (Need("Sys.Audit", "/nodes/{node}"),)),
    Use("migrate", "", "", (
        SEE,
        Need("VM.Migrate", GUEST),
        _less("Sys.Audit", "/nodes/{node}", _ADOPT),
        _less("Datastore.Audit", STORAGE, "a failure cannot say whether a disk was left behind"),
    )),
    Use("migrate", "ha", "the guest is under HA", (CLUSTER,)),
    Use("migrate", "target_storage", "with ``target_storage``", (
        Need("VM.Config.Disk", GUEST),
        Need("Datastore.AllocateSpace", STORAGE),
    )),
    Use("migrate", "sync", "a copy on the target is brought up to date first (``sync_first``)", REPLICATE),
    Use("move_disk", "", "", (
        SEE,
        Need("VM.Config.Disk", GUEST),
        Need("Datastore.AllocateSpace", STORAGE),
        _less("Datastore.Audit", STORAGE, "sizes are those of the configuration, and leftovers are not looked for"),
        _less("Sys.Audit", "/nodes/{node}", _ADOPT),
    )),
    Use("move_disk", "stop", "with ``allow_stop``", (Need("VM.PowerMgmt", GUEST),)),
    Use("replication_info", "", "", (
        _unknown("VM.Audit", GUESTS),
        _less("Sys.Audit", "/nodes/{node}", "the clock of the API host is used, and schedules are taken for UTC"),
    )),
    Use("failover_info", "", "", (
        _unknown("Sys.Audit", "/"),
        _unknown("Datastore.Audit", STORAGES),
    ), like=("replication_info",)),
    Use("failover_info", "backups", "backups are to be counted", (
        _unknown("VM.Backup", GUESTS),
        _unknown("Datastore.AllocateSpace", STORAGES),
    )),
    Use("replication_job", "", "", (
        SEE,
        *REPLICATE,
        _less("Datastore.Audit", STORAGE, "whether the target has the storages of the disks is not looked at before"),
        _less("Sys.Audit", "/nodes/{node}", "who has migrated the guest to its replica is not known"),
    )),
    Use("replication_policy", "", "", (
        SEE,
        *REPLICATE,
        _less("Datastore.Audit", STORAGES, "whether the targets have the storages of disks is not looked at before"),
    )),
    Use("replication_policy", "ha", "with ``ha`` other than ``ignore``", (CLUSTER,)),
    Use("replication_policy", "ha_create", "with ``ha: create``", (Need("Sys.Console", "/"),)),
    Use("drain", "", "", (*_SIGHT, Need("VM.Migrate", GUEST))),
    Use("drain", "target_storage", "with ``target_storage``", (
        Need("VM.Config.Disk", GUEST),
        Need("Datastore.AllocateSpace", STORAGE),
    )),
    Use("drain", "sync", "copies on the targets are brought up to date first (``sync_first``)", tuple(
        replace(need, lack=Lack.LESS, lost="guests move without, and more has to be copied") for need in REPLICATE
    )),
    Use("drain", "stop", "with ``policy.pinned: stop``", (Need("VM.PowerMgmt", GUEST),)),
    Use("drain", "stop_ha", "guests under HA are to be stopped", (Need("Sys.Console", "/"),)),
    Use("drain_storage", "", "", (
        SEE_ALL,
        Need("Datastore.Audit", STORAGES),
        Need("VM.Config.Disk", GUESTS),
        Need("Datastore.AllocateSpace", STORAGE),
        _less("Sys.Audit", "/nodes/{node}", _ADOPT),
    )),
    Use("drain_storage", "stop", "with ``allow_stop``", (Need("VM.PowerMgmt", GUEST),)),
    Use("cluster_ready", "", "", (CLUSTER,)),
    Use("cluster_ready", "node", "a node is named", (
        Need("Sys.Audit", "/nodes"),
        Need("Datastore.Audit", STORAGES),
    )),
    Use("cluster_ready", "backups", "with the check ``backups``", (NODES,)),
    Use("cluster_ready", "replication", "with the check ``replication``", (SEE_ALL,)),
    Use("cluster_options", "", "", (CLUSTER, Need("Sys.Modify", "/"))),
    Use("cluster_options", "network", "a network is set, which is proven before", (
        Need("SDN.Audit", "/sdn/zones/localnetwork"),
    )),
    Use("migration_network_info", "", "", (
        CLUSTER,
        _unknown("SDN.Audit", "/sdn/zones/localnetwork"),
    )),
    Use("migration_network_info", "recent", "with ``recent``", (_unknown("Sys.Audit", "/nodes"),)),
    Use("zfs_storage", "", "", (
        Need("Datastore.Audit", STORAGES),
        Need("Datastore.Allocate", STORAGES),
    )),
    Use("zfs_storage", "gain", "a node is to have it that does not yet", (CLUSTER,)),
    Use("zfs_storage", "lose", "it is taken from a node, or content from it", (SEE_ALL,)),
    Use("zfs_storage_info", "", "", (
        Need("Datastore.Audit", STORAGES),
        CLUSTER,
        SEE_ALL,
    )),
    Use("zfs_storage_info", "recent", "with ``recent``", (_unknown("Sys.Audit", "/nodes"),)),
    Use("zfs_storage_info", "datasets", "the nodes are to say whether the datasets exist", (
        _unknown("Datastore.Allocate", STORAGES),
    )),
    Use("api_access", "", "", (
        Need("Sys.Audit", "/access"),
        Need("Sys.Modify", "/access"),
        Need("Realm.AllocateUser", "/access/realm/{realm}"),
        Need("User.Modify", "/access/groups"),
        Need("Permissions.Modify", "/"),
    )),
)  # fmt: skip
"""What nobody needs a privilege for is left out: the shell modules ``node_maintenance`` and ``zfs_info`` ask no API."""

_OTHERS = "Give the write privileges on a pool, on single guests or on single storages only"

FEATURES: tuple[Feature, ...] = (
    Feature(
        "audit",
        "Read everything that is judged: audits, plans, replication and failover reports. Nothing can be changed.",
        (
            "cluster_info",
            "preflight",
            "upgrade_plan",
            "failover_info",
            "replication_info",
            "follow",
            "follow.ha",
            "follow.task",
            "cluster_ready",
            "cluster_ready.node",
            "cluster_ready.backups",
            "cluster_ready.replication",
            "zfs_storage_info",
            "zfs_storage_info.recent",
            "migration_network_info",
            "migration_network_info.recent",
        ),
        "read names, configurations, addresses, task logs and the load of everything in the cluster; change nothing",
        "Let the token expire, and keep it apart from tokens that may write",
    ),
    Feature(
        "migrate",
        "Move guests between nodes.",
        ("migrate", "migrate.ha", "follow", "follow.ha", "follow.task"),
        "move guests between nodes, over and over, and fill networks and nodes with that; and send a guest with its"
        " disks to a cluster of the thief, because Proxmox VE's own remote migration asks for nothing but VM.Migrate",
        "Give VM.Migrate on a pool or on single guests only, and let the firewall keep nodes from opening connections"
        " to other clusters (port 8006)",
    ),
    Feature(
        "target_storage",
        "Let a move bring local disks to other storages (``target_storage``).",
        ("migrate.target_storage", "drain.target_storage"),
        "fill storages, and detach, resize or delete disks of guests (VM.Config.Disk takes that in)",
        _OTHERS,
    ),
    Feature(
        "sync",
        "Bring a copy up to date before a move (``sync_first``).",
        ("migrate.sync", "drain.sync"),
        "make and remove replication jobs, and the copies with them; on 8.4, where only Datastore.Allocate permits it,"
        " remove any volume and change any storage definition",
        "Upgrade to 9.0, where VM.Replicate on a pool or on single guests is enough",
    ),
    Feature(
        "move_disk",
        "Move disks between storages.",
        ("move_disk",),
        "fill storages, and detach, resize or delete disks of guests (VM.Config.Disk takes that in)",
        _OTHERS,
    ),
    Feature(
        "stop",
        "Shut down guests that cannot move while they run (``allow_stop``, ``pinned: stop``), and start them again.",
        ("move_disk.stop", "drain_storage.stop", "drain.stop"),
        "stop, reset and start guests",
        _OTHERS,
    ),
    Feature(
        "drain",
        "Empty a node.",
        ("drain", "migrate", "migrate.ha", "follow", "follow.ha", "follow.task", "cluster_info"),
        "what it could with migrate and audit",
        "VM.Migrate is needed on every guest of the nodes that are emptied, so make the token for the occasion, with an"
        " end (``expire``), and keep the firewall as for migrate",
    ),
    Feature(
        "drain_storage",
        "Empty a storage.",
        ("drain_storage", "move_disk"),
        "detach, resize or delete disks of all guests (VM.Config.Disk takes that in), and fill storages",
        "Make the token for the occasion, with an end (``expire``)",
    ),
    Feature(
        "replication",
        "Keep copies of guests: jobs, and policies that make them.",
        ("replication_job", "replication_policy", "replication_policy.ha", "replication_info"),
        "make and remove replication jobs, and the copies with them; on 8.4, where only Datastore.Allocate permits it,"
        " remove any volume and change any storage definition",
        "Upgrade to 9.0, where VM.Replicate on a pool or on single guests is enough",
    ),
    Feature(
        "ha",
        "Write HA: rules that keep guests to their copies (``ha: create``), and guests under HA that a drain stops.",
        ("replication_policy.ha_create", "drain.stop_ha"),
        "change what HA does with every guest: stop, move, or no longer recover it",
        "Leave it out: rules can be proposed (``ha: propose``) and made by hand; it is on ``/`` alone and not below, so"
        " it opens no console of a node",
    ),
    Feature(
        "backups",
        "See backups in ``failover_info``.",
        ("failover_info.backups",),
        "make backups of guests to storages, and so read their disks where it can reach the storage",
        "Leave it out: everything else of the report is there without it",
    ),
    Feature(
        "standards",
        "Keep ZFS storages and the network of migrations the same everywhere.",
        (
            "zfs_storage",
            "zfs_storage.gain",
            "zfs_storage.lose",
            "zfs_storage_info",
            "zfs_storage_info.recent",
            "zfs_storage_info.datasets",
            "cluster_options",
            "cluster_options.network",
            "migration_network_info",
            "migration_network_info.recent",
        ),
        "change or add storage definitions, also on folders of nodes, remove any volume, and change the options of the"
        " datacenter, such as the network of migrations and whether they are encrypted",
        "Keep it in a token of its own; run it where few people can read the secret",
    ),
    Feature(
        "upgrade",
        "Upgrade the nodes of a cluster one after the other. What is installed and restarted goes over SSH, as root.",
        (
            "upgrade_plan",
            "preflight",
            "cluster_info",
            "cluster_ready",
            "cluster_ready.node",
            "cluster_ready.backups",
            "cluster_ready.replication",
            "drain",
            "migrate",
            "migrate.ha",
            "follow",
            "follow.ha",
            "follow.task",
        ),
        "what it could with drain; the SSH key of root on the nodes is what has to be guarded",
        "Keep the key where the upgrade runs, and only as long",
    ),
)

_BY_ID = {use.id: use for use in USES}


BY_NAME = {feature.name: feature for feature in FEATURES}


def needs_of(uses: Iterable[str]) -> Iterator[Need]:
    """Needs of uses, and of those that they are like; each once."""
    seen: set[Need] = set()
    for id in uses:
        use = _BY_ID[id]
        for need in (*use.needs, *needs_of(use.like)):
            if need not in seen:
                seen.add(need)
                yield need
