# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``volumes:``: what lies on storages without belonging to a guest of the file: images, backups, orphans."""

from __future__ import annotations

import re

from lab.cluster_file.reader import Map, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.formats import format_size
from lab.pve.storage import Volume
from lab.pve.storage_types import storage_type

_OWNER = re.compile(r"(?:vm|base|subvol|basevol)-(\d+)-|vzdump-\w+-(\d+)-")
_FOLDERS = ("iso", "vztmpl", "backup", "snippets", "import")


def read_volumes(top: Map, cluster: Cluster) -> None:
    """Rows of ``{storage, volume, size, node?, used?, format?, age?, notes?, content?}``."""
    for index, row in enumerate(top.rows("volumes")):
        spec = Map(f"volumes[{index}]", row)
        storage, name = spec.text("storage"), spec.text("volume")
        definitions = cluster.storages.definitions()
        if storage not in definitions:
            fail(spec.at("storage"), f"storage '{storage}' is not defined{suggestion(str(storage), definitions)}")
        if not name:
            fail(spec.where, "volume is missing (examples: vm-999-disk-0, iso/debian-13.iso)")
        kind = storage_type(definitions[storage].type)
        volume = _volume(spec, name, kind.files)
        volume.created = cluster.engine.epoch - spec.age("age", 30 * 86400.0)
        nodes = spec.names("node")
        if not nodes and cluster.storages.is_shared(storage):
            nodes = list(cluster.nodes)[:1]
        for node in nodes or cluster.nodes:
            if node not in cluster.nodes:
                fail(spec.at("node"), f"unknown node '{node}'{suggestion(node, cluster.nodes)}")
            _put(spec, cluster, storage, node, volume)
        spec.done()


def _volume(spec: Map, name: str, files: bool) -> Volume:
    size = spec.size("size", 2**30)
    owner = _OWNER.search(name)
    folder = name.partition("/")[0]
    leaf = name.rpartition("/")[2]
    content = folder if folder in _FOLDERS else "rootdir" if re.match(r"subvol-|basevol-", leaf) else "images"
    suffix = leaf.partition(".")[2] if files else ""
    guess = suffix or ("subvol" if content == "rootdir" else "raw")
    vmid = int(owner[1] or owner[2]) if owner else None
    return Volume(
        name, spec.text("content", content), spec.text("format", guess), size, spec.size("used", size), vmid,
        notes=spec.text("notes"),
    )  # fmt: skip


def _put(spec: Map, cluster: Cluster, storage: str, node: str, volume: Volume) -> None:
    backing = cluster.storages.backing(storage, node)
    if backing is None:
        fail(spec.at("node"), f"storage '{storage}' is not available on node '{node}'")
    if volume.name in backing.volumes:
        fail(spec.at("volume"), f"there is a volume '{volume.name}' on storage '{storage}' already")
    if (volume.used if backing.thin else volume.size) > backing.avail:
        free = format_size(backing.avail // 2**20 * 2**20)
        fail(spec.at("size"), f"does not fit on storage '{storage}' of node '{node}' (free {free})")
    own = Volume(
        volume.name, volume.content, volume.format, volume.size, volume.used, volume.vmid, created=volume.created,
        notes=volume.notes,
    )  # fmt: skip
    backing.volumes[volume.name] = own
