# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of all findings from the checks themselves: ``python -m tools.findings``."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

from tools.area import CHECKOUT, COLLECTIONS
from tools.tree import sync

PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "findings.rst"
_CHECKS = "ansible_collections.pve.mobility.plugins.module_utils.checks"
_HEAD = """\
.. SPDX-FileCopyrightText: 2026 pve.mobility contributors
.. SPDX-License-Identifier: GPL-3.0-or-later
.. Written by python -m tools.findings from the checks; changes belong there.

.. _ansible_collections.pve.mobility.docsite.findings:

Findings
========

What modules, roles and audits can find. Each finding has an id, by which playbooks accept it, a severity, a
message, a remedy, and the values that it rests on. *Proxmox VE: refuses* says that such a move is refused, or fails,
without this collection too; all else Proxmox VE would let happen.

.. contents::
   :local:
   :depth: 1
"""
# What is found outside of the checks, where no kind of theirs has the id: id → severity, what was found, remedy.
ELSEWHERE: dict[str, dict[str, tuple[str, str, str]]] = {
    "Options and replication, while they are changed": {
        "options-forgotten": (
            "warn",
            "An older node cannot read an option that is written now; its next own write of the file erases it.",
            "upgrade the nodes soon, and change nothing through the older ones",
        ),
        "release-unproven": (
            "block",
            "A node is off that may run a newer release than every API host; options of it could be lost by a write.",
            "bring it back, give an API host of the newest release, or accept the finding",
        ),
        "replica-not-synced": (
            "warn",
            "The copy on the target was not brought up to date before the move, because the user may not do that.",
            "give the user VM.Replicate on the guest (on 8.4 Datastore.Allocate on /storage), or set sync_first: false",
        ),
    },
    "Links of the migration network": {
        "link-speed": (
            "block",
            "A link is slower than migration_network_min_speed asks for.",
            "use a faster port, or lower migration_network_min_speed",
        ),
        "link-mtu": (
            "block",
            "A link has a smaller MTU than migration_network_min_mtu asks for.",
            "set the MTU on the interface and on the switch",
        ),
    },
    "ZFS storages: one definition": {
        "storage-in-use": (
            "block",
            "A node or a kind of content would be taken from a storage on which guests of that node have disks.",
            "move the disks to another storage first",
        ),
        "storage-unproven": (
            "block",
            "Nobody can tell whether guests of a node that a storage would lose have disks on it.",
            "bring the node back, leave the storage as it is there, or accept the finding if the node has none",
        ),
        "storage-holds-copies": (
            "warn",
            "A node would be taken from a storage that holds volumes of guests elsewhere: replicas, or leftovers.",
            "remove replication jobs to that node first if they are replicas",
        ),
    },
    "ZFS storages: the standard": {
        "standard-unproven": (
            "warn",
            "Not everything could be looked at, and there may be more to say.",
            "give the user what is missing, or mend the node, and look again",
        ),
        "storage-undefined": ("warn", "A storage of the standard is not defined.", "run the role zfs_storage"),
        "storage-drift": ("warn", "An option of a storage is not as the standard says.", "run the role zfs_storage"),
        "storage-wrong-type": (
            "block",
            "The storage has another type than the standard says, and that never changes.",
            "define another ID, move the disks there, and remove this one",
        ),
        "storage-wrong-pool": (
            "block",
            "The storage is on another dataset than the standard says, and that never changes.",
            "define another ID, move the disks there, and remove this one",
        ),
        "storage-twice": (
            "warn",
            "One dataset has two storage IDs on a node, which breaks replication. A new such definition is blocked.",
            "move the disks to one of the IDs and remove the others",
        ),
        "storage-per-node": (
            "warn",
            "One storage has a name of its own for each node: replication and plain migrations are impossible.",
            "give every node a dataset of the same name and use one ID",
        ),
        "dataset-missing": ("block", "A node has the pool, but not the dataset.", "zfs create it there"),
        "dataset-unproven": (
            "block",
            "Nobody can tell whether a node has the dataset.",
            "bring the node back, or give the user the privilege that is missing",
        ),
        "pool-missing": ("block", "A node has no such pool.", "create it there, or leave the node out"),
        "pool-unhealthy": ("block", "The pool is not ONLINE, or has errors.", "see zpool status there"),
        "pool-full": ("warn", "The pool is fuller than it should be; ZFS becomes slow.", "free space, or move guests"),
        "disk-not-standard": (
            "warn",
            "A disk is on a storage that is not in the standard, and cannot be moved yet.",
            "what the message says, and look again",
        ),
        "disks-not-standard": (
            "warn",
            "Disks are on storages that are not in the standard; there is a plan for them.",
            "carry out the plan with move_disk",
        ),
        "disk-no-space": (
            "warn",
            "A disk does not fit on its storage after the moves before it.",
            "free space there, or move the guest to another node first",
        ),
        "target-storage-used": (
            "info",
            "A migration took disks to a storage of another ID.",
            "with the same IDs on every node leave target_storage out of everyday migrations",
        ),
    },
}


def kinds() -> list[tuple[str, list[Any]]]:
    """The modules of checks, and their kinds of findings."""
    sys.path.insert(0, str(COLLECTIONS))
    judge, disks = (importlib.import_module(f"{_CHECKS}.{name}") for name in ("judge", "disks"))
    found = [
        (str(module.__doc__), [value for value in vars(module).values() if type(value).__name__ == "Kind"])
        for module in (*judge.MODULES, disks)
    ]
    return [(text, some) for text, some in found if some]


def page() -> str:
    """The text that the page must have."""
    parts = [_HEAD]
    for text, some in kinds():
        title = re.split(r"[:.]| \(pve-facts|, and is said", " ".join(text.split()))[0]
        parts += [title, "-" * len(title), ""]
        for kind in some:
            parts += _entry(kind)
    for title, rows in ELSEWHERE.items():
        parts += [title, "-" * len(title), ""]
        for name, (severity, what, remedy) in rows.items():
            parts += [*_title(name), what, "", f"* Severity: {severity}", f"* Remedy: {_sentence(remedy)}", ""]
    return "\n".join(parts).rstrip() + "\n"


def _title(name: str) -> list[str]:
    label = f".. _ansible_collections.pve.mobility.docsite.findings.{name}:"
    return [label, "", f"``{name}``", "~" * (len(name) + 4), ""]


def _entry(kind: Any) -> list[str]:
    return [
        *_title(kind.id),
        kind.what,
        "",
        f"* Severity: {kind.severity.value}",
        f"* Why: {kind.why}",
        f"* Remedy: {_sentence(kind.remedy)}",
        *([f"* Evidence: {_sentence(kind.evidence)}"] if kind.evidence else []),
        f"* Proxmox VE: {'refuses' if kind.enforced else 'does not look'}",
        "",
    ]


def _sentence(text: str) -> str:
    escaped = text.replace("*", r"\*")
    return f"{escaped[:1].upper()}{escaped[1:].rstrip('.')}."


def main() -> int:
    sync()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
