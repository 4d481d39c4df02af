# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``storages:``: definitions for storage.cfg, and what lies behind them on each node."""

from __future__ import annotations

import re
from typing import Any

from lab.cluster_file.reader import Map, as_names, as_text, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.formats import Section, print_section_config
from lab.pve.storage import DISK_SPEED, Backing
from lab.pve.storage_types import TYPES, StorageType

DEFAULTS: dict[str, dict[str, Any]] = {
    "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,backup,vztmpl", "size": "100G", "used": "12G"},
    "local-zfs": {"type": "zfspool", "pool": "rpool/data", "content": "images,rootdir", "sparse": 1, "size": "1T"},
    "shared": {
        "type": "nfs", "server": "10.0.0.5", "export": "/export/shared", "path": "/mnt/pve/shared",
        "content": "images,rootdir,iso", "size": "10T",
    },
}  # fmt: skip
"""Storages of a cluster file that names none."""

_SIZES = {"dir": 100 * 2**30, "pbs": 20 * 2**40, "cephfs": 5 * 2**40, "nfs": 10 * 2**40, "rbd": 10 * 2**40}
_ID = re.compile(r"^[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]$")
_FLAGS = frozenset({"disable", "sparse", "krbd", "fuse", "shared", "saferemove", "tagged_only"})
_PER_NODE = ("size", "used", "online", "missing", "health", "speed")


def read_storages(top: Map, cluster: Cluster) -> None:
    """Write storage.cfg and create the places behind the definitions."""
    section = top.take("storages")
    if section is None:
        section = DEFAULTS
    sections: list[Section] = []
    places: list[tuple[Section, StorageType, Map]] = []
    for name, spec in Map("storages", section).items():
        if not _ID.match(name):
            fail(spec.where, f"'{name}' is not a storage ID (letters, digits, '-', '_', '.', starting with a letter)")
        definition, kind = _read_definition(name, spec, cluster)
        sections.append(definition)
        places.append((definition, kind, spec))
    cluster.fs.write("storage.cfg", print_section_config(sections, _FLAGS))
    for definition, kind, spec in places:
        _read_places(definition, kind, spec, cluster)
        for key in spec.left():
            fail(
                spec.where,
                f"a {kind.name} storage has no option '{key}'{suggestion(key, kind.options | {'size', 'used'})}",
            )
    _read_pools(top.map("zfs_pools"), cluster)
    _join_pools(cluster)


def _read_definition(name: str, spec: Map, cluster: Cluster) -> tuple[Section, StorageType]:
    type_name = spec.text("type")
    if type_name is None:
        fail(spec.where, f"type is missing (one of {', '.join(sorted(TYPES))})")
    if type_name not in TYPES:
        fail(spec.at("type"), f"there is no storage type '{type_name}'{suggestion(type_name, TYPES)}")
    kind = TYPES[type_name]
    values: dict[str, str] = {}
    for key in sorted(kind.options):
        if not spec.has(key):
            continue
        value = spec.take(key)
        if key in {"content", "nodes"}:
            names = as_names(spec.at(key), value)
            known = kind.content if key == "content" else cluster.nodes
            for item in names:
                if item not in known:
                    what = f"{type_name} cannot hold '{item}'" if key == "content" else f"unknown node '{item}'"
                    fail(spec.at(key), f"{what}{suggestion(item, known)}")
            if names:
                values[key] = ",".join(names)
        elif key in _FLAGS:
            if value in (True, 1, "1"):
                values[key] = "1"
        else:
            values[key] = as_text(spec.at(key), value)
    values.setdefault("content", ",".join(kind.default_content))
    if type_name == "zfspool" and "pool" in values:
        values.setdefault("mountpoint", f"/{values['pool']}")
    if type_name in {"nfs", "cifs", "cephfs"}:
        values.setdefault("path", f"/mnt/pve/{name}")
    for key in kind.required:
        if key not in values:
            fail(spec.where, f"'{key}' is missing (a {type_name} storage needs it)")
    ordered = {key: values.pop(key) for key in (*kind.fixed, "content") if key in values}
    return Section(type_name, name, ordered | values), kind


def _read_places(definition: Section, kind: StorageType, spec: Map, cluster: Cluster) -> None:
    """Backings of one definition; a place that another definition described already is left alone."""
    size_given = spec.has("size")
    size = spec.size("size", _SIZES.get(definition.type, 2**40))
    used = spec.size("used", 0)
    thin = spec.flag("thin", kind.thin)
    online = spec.flag("online", True)
    speed = spec.rate("speed", DISK_SPEED)
    if speed <= 0:
        fail(spec.at("speed"), "a storage needs a speed above 0 (examples: 200M, 1.2G)")
    per_node = spec.map("per_node")
    key = cluster.storages.backing_key(definition.id)
    limited = cluster.storages.nodes(definition.id)
    if kind.shared or definition.values.get("shared") == "1":
        existing = next((place for node, name, place in cluster.storages.backings() if name == key), None)
        if existing is None:
            place = Backing(key, size, used, online, thin, kind=kind.name, speed=speed)
            cluster.storages.add_backing(key, place, None)
        for node, value in per_node.rest():
            _known_node(per_node.at(node), node, cluster)
            own = Map(per_node.at(node), value)
            if not own.flag("online", True) or own.flag("missing"):
                cluster.storages.unreachable.add((node, definition.id))
            own.done(_PER_NODE)
        return
    for node in per_node.left():
        _known_node(per_node.at(node), node, cluster)
    for node in cluster.nodes:
        own = per_node.map(node)
        here = limited is None or node in limited or own.has("size")
        missing = own.flag("missing") or not here
        existing_here = cluster.storages.local(node, key)
        place = existing_here or Backing(key, size, used, online, thin, kind=kind.name, speed=speed)
        if size_given or existing_here is None:
            place.size, place.other = own.size("size", size), own.size("used", used)
        place.online = own.flag("online", place.online)
        place.speed = own.rate("speed", place.speed)
        place.health = own.text("health", place.health)
        own.done(_PER_NODE)
        if not missing and existing_here is None:
            cluster.storages.add_backing(key, place, node)
    per_node.done()


def _known_node(where: str, node: str, cluster: Cluster) -> None:
    if node not in cluster.nodes:
        fail(where, f"unknown node '{node}'{suggestion(node, cluster.nodes)}")


def _read_pools(spec: Map, cluster: Cluster) -> None:
    """``zfs_pools:``: pools and datasets that no storage names, and foreign snapshots on datasets."""
    for pool, own in spec.items():
        nodes = own.names("nodes") or list(cluster.nodes)
        size = own.size("size", 2**40)
        health = own.text("health")
        datasets = own.map("datasets")
        sizes = {name: datasets.size(name, 0) for name in datasets.left()}
        for node in nodes:
            _known_node(own.at("nodes"), node, cluster)
            found = [place for where, key, place in cluster.storages.backings()
                     if where == node and key.partition("/")[0] == pool]  # fmt: skip
            if not found:
                found = [Backing(pool, size, kind="zfspool")]
                cluster.storages.add_backing(pool, found[0], node)
            found[0].inventory |= {f"{pool}/{name}" if name else pool: used for name, used in sizes.items()}
            for place in found:
                place.health = health or place.health
        own.done()


def _join_pools(cluster: Cluster) -> None:
    """Datasets of one ZFS pool on a node share its space; the pool is as large as its largest dataset says."""
    groups: dict[tuple[str, str], list[Backing]] = {}
    for node, key, place in cluster.storages.backings():
        if node is not None and place.kind == "zfspool":
            groups.setdefault((node, key.partition("/")[0]), []).append(place)
    for places in groups.values():
        size = max(place.size for place in places)
        for place in places:
            place.size = size
            place.siblings = [other for other in places if other is not place]
