# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster file: a YAML description of a whole cluster, as docs/lab.md explains it.

What is read is written as Proxmox VE keeps it: configuration text into /etc/pve, volumes into storages, processes onto
nodes. Everything after that works on this state and no longer knows the cluster file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab.cluster_file.accounts import read_accounts
from lab.cluster_file.availability import read_ha, read_replication
from lab.cluster_file.foreign import read_foreign_snapshots
from lab.cluster_file.guests import GuestReader
from lab.cluster_file.nodes import read_nodes
from lab.cluster_file.reader import ClusterFileError, Map, fail
from lab.cluster_file.sections import (
    read_backup_jobs,
    read_ceph,
    read_faults,
    read_mappings,
    read_options,
    read_tasks,
    read_vnets,
    write_corosync,
)
from lab.cluster_file.storages import read_storages
from lab.cluster_file.strays import read_volumes
from lab.pve.boot import start_daemons
from lab.pve.cluster import Cluster
from lab.sim.engine import Engine

__all__ = ["DEFAULT_START", "ClusterFileError", "load", "read_yaml"]

DEFAULT_START = "2026-11-23 06:00:00"


def load(source: dict[str, Any] | str | Path, *, speed: float = 1.0) -> Cluster:
    """Build the cluster that a cluster file describes.

    :param source: the parsed file, its text, or its path.
    :param speed: virtual seconds per second; 0 for jump mode.
    :raises ClusterFileError: with one sentence that names the place.
    """
    top = Map("", source if isinstance(source, dict) else read_yaml(source))
    start = top.take("start", DEFAULT_START)
    epoch = Map("", {"start": start})
    engine = Engine(epoch.time("start"), speed, top.integer("seed", 1))
    cluster = Cluster(engine, top.text("name", "lab"))
    states = read_nodes(top, cluster)
    read_storages(top, cluster)
    guests = GuestReader(cluster).read(top)
    read_options(top, cluster)
    write_corosync(cluster)
    read_vnets(top, cluster)
    read_mappings(top, cluster)
    read_backup_jobs(top, cluster)
    read_ceph(top, cluster)
    read_ha(top, cluster, guests)
    read_replication(top, cluster, guests)
    read_volumes(top, cluster)
    read_foreign_snapshots(top, cluster)
    read_accounts(top, cluster)
    read_tasks(top, cluster)
    read_faults(top, cluster)
    top.done()
    start_daemons(cluster, states)
    return cluster


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that is given twice: YAML itself would silently take the last one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    own: set[Any] = set()
    for key_node, _value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            fail(f"line {key_node.start_mark.line + 1}", "a key must be plain text or a number")
        key = loader.construct_object(key_node)
        if key in own:
            fail(f"line {key_node.start_mark.line + 1}", f"'{key}' is given twice")
        own.add(key)
    loader.flatten_mapping(node)
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def read_yaml(source: str | Path) -> Any:
    """The content of a cluster file given as path or as text (a text has a line break or a colon with a space).

    :raises ClusterFileError: unreadable, no YAML, or not a mapping.
    """
    name = "cluster file"
    text = str(source)
    if isinstance(source, Path) or ("\n" not in text and ": " not in text):
        name = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            fail(name, f"cannot be read ({error.strerror or error})")
        except UnicodeDecodeError:
            fail(name, "is not text (a cluster file is YAML in UTF-8)")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1} column {mark.column + 1}" if mark else ""
        fail(f"{name}{where}", f"is not valid YAML: {' '.join(str(error.problem or error.context).split())}")
    except yaml.YAMLError as error:
        fail(name, f"is not valid YAML: {' '.join(str(error).split())}")
    if not isinstance(value, dict):
        fail(name, "must be a mapping with 'nodes:' at least (see docs/lab.md)")
    return value
