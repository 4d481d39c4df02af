# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Privileges and the predefined roles made of them (pve-access-control AccessControl.pm:create_roles)."""

from __future__ import annotations

from functools import cache

Release = tuple[int, int]

_GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "VM": {
        "root": (),
        "admin": (
            "VM.Config.Disk",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.HWType",
            "VM.Config.Options",
            "VM.Allocate",
            "VM.Clone",
            "VM.GuestAgent.Unrestricted",
            "VM.Migrate",
            "VM.Monitor",
            "VM.Replicate",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ),
        "user": (
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.Backup",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt",
            "VM.GuestAgent.FileWrite",
            "VM.PowerMgmt",
        ),
        "audit": ("VM.Audit", "VM.GuestAgent.Audit"),
    },
    "Sys": {
        "root": ("Sys.PowerMgmt", "Sys.Modify", "Sys.Incoming", "Sys.AccessNetwork"),
        "admin": ("Sys.Console", "Sys.Syslog"),
        "user": (),
        "audit": ("Sys.Audit",),
    },
    "Datastore": {
        "root": (),
        "admin": ("Datastore.Allocate", "Datastore.AllocateTemplate"),
        "user": ("Datastore.AllocateSpace",),
        "audit": ("Datastore.Audit",),
    },
    "SDN": {
        "root": (),
        "admin": ("SDN.Allocate", "SDN.Audit"),
        "user": ("SDN.Use",),
        "audit": ("SDN.Audit",),
    },
    "User": {
        "root": ("Realm.Allocate",),
        "admin": ("User.Modify", "Group.Allocate", "Realm.AllocateUser"),
        "user": (),
        "audit": (),
    },
    "Pool": {"root": (), "admin": ("Pool.Allocate",), "user": ("Pool.Audit",), "audit": ("Pool.Audit",)},
    "Mapping": {
        "root": (),
        "admin": ("Mapping.Modify",),
        "user": ("Mapping.Use",),
        "audit": ("Mapping.Audit",),
    },
}

_SINCE_9 = frozenset({"VM.Replicate", "VM.GuestAgent.Unrestricted", "VM.GuestAgent.FileRead"}) | {
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Audit",
}
_UNTIL_9 = frozenset({"VM.Monitor"})

PRIVILEGES = frozenset(priv for levels in _GROUPS.values() for privs in levels.values() for priv in privs) | {
    "Permissions.Modify"
}
"""Every privilege of any release."""


def exists(privilege: str, release: Release) -> bool:
    """Whether a release knows the privilege (pve-facts §12)."""
    if privilege not in PRIVILEGES:
        return False
    return privilege not in (_SINCE_9 if release < (9, 0) else _UNTIL_9)


@cache
def predefined() -> dict[str, frozenset[str]]:
    """Predefined roles, with the privileges of all releases together.

    A cluster may be of mixed releases and shares its ACLs, so checks use this; what a node shows is filtered by
    :func:`exists`.
    """
    roles: dict[str, set[str]] = {"NoAccess": set(), "Administrator": set(PRIVILEGES)}
    for name, levels in _GROUPS.items():
        common = {*levels["admin"], *levels["user"], *levels["audit"]}
        roles.setdefault(f"PVE{name}Admin", set()).update(common)
        roles.setdefault("PVEAdmin", set()).update(common)
        if levels["user"]:
            roles.setdefault(f"PVE{name}User", set()).update(levels["user"], levels["audit"])
        roles.setdefault("PVEAuditor", set()).update(levels["audit"])
    roles["PVEAdmin"].discard("Mapping.Modify")
    roles["PVETemplateUser"] = {"VM.Clone", "VM.Audit"}
    return {name: frozenset(privileges) for name, privileges in roles.items()}
