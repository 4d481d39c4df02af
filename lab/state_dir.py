# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in a folder, laid out as Proxmox VE keeps it.

* ``etc/pve/…``: the replicated files as text;
* ``<node>/tasks/index`` and ``<node>/tasks/<X>/<UPID>``: finished tasks and every task's log, as below /var/log/pve;
* ``<node>/node.json``: hardware, network, daemons and processes of a node; ``<node>/volumes.json``: its own storage;
* ``volumes.json``: shared storage; ``lab.json``: the clock, the random numbers, what guests do inside.

A process cannot be kept in a file: tasks that run while the cluster is saved are found dead when it is loaded, their
locks left behind, as after a node's power cut. Faults are not kept either.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lab.pve.boot import start_daemons
from lab.pve.cluster import Cluster
from lab.pve.node import Cpu, Nic, Node, Running
from lab.pve.storage import Backing, Snapshot, Volume
from lab.pve.tasks import Task
from lab.pve.traits import Traits
from lab.sim.engine import Engine

FORMAT = 1
_NOT_KEPT = frozenset({"pipes", "pools", "mapped"})


class StateError(Exception):
    """The folder holds no state that can be read; one sentence."""


# ---------------------------------------------------------------- saving


def save(cluster: Cluster, folder: Path | str) -> None:
    """Write the state of a cluster; files that a former state left and this one lacks are removed."""
    root = Path(folder)
    cluster.ha.flush()
    written: set[Path] = set()
    for path, text in cluster.fs.items():
        _write(root / "etc/pve" / path, text, written)
    for node in cluster.nodes.values():
        _write(root / node.name / "node.json", _json(_node_values(node)), written)
        _write_tasks(cluster, root / node.name / "tasks", node.name, written)
        own = {key: _backing_values(place) for where, key, place in cluster.storages.backings() if where == node.name}
        _write(root / node.name / "volumes.json", _json(own), written)
    shared = {key: _backing_values(place) for where, key, place in cluster.storages.backings() if where is None}
    _write(root / "volumes.json", _json(shared), written)
    _write(root / "lab.json", _json(_lab_values(cluster)), written)
    for stale in (root / "etc").rglob("*"):
        if stale.is_file() and stale not in written:
            stale.unlink()


def _write(path: Path, text: str, written: set[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    written.add(path)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _lab_values(cluster: Cluster) -> dict[str, Any]:
    engine = cluster.engine
    return {
        "format": FORMAT, "name": cluster.name, "now": engine.now, "random": engine.random.getstate(),
        "nodes": list(cluster.nodes), "files": [path for path, _text in cluster.fs.items()],
        "storages_unreachable": sorted(cluster.storages.unreachable), "next_guid": cluster.storages.next_guid,
        "traits": {vmid: dataclasses.asdict(traits) for vmid, traits in cluster.traits.items()}, "file": cluster.file,
    }  # fmt: skip


def _node_values(node: Node) -> dict[str, Any]:
    return {
        field.name: _plain(getattr(node, field.name))
        for field in dataclasses.fields(node)
        if field.name not in _NOT_KEPT
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _backing_values(place: Backing) -> dict[str, Any]:
    values = {field.name: getattr(place, field.name) for field in dataclasses.fields(place) if field.name != "siblings"}
    values["volumes"] = [dataclasses.asdict(volume) for volume in place.volumes.values()]
    values["siblings"] = [other.name for other in place.siblings]
    return values


def _write_tasks(cluster: Cluster, folder: Path, node: str, written: set[Path]) -> None:
    index = []
    for task in cluster.tasks.of_node(node):
        if task.exitstatus is not None:
            index.append(f"{task.upid} {int(task.endtime or 0):08X} {task.exitstatus}\n")
        letter = f"{task.starttime:08X}"[-1]
        _write(folder / letter / task.upid, "".join(f"{line}\n" for line in task.lines), written)
    _write(folder / "index", "".join(index), written)


# ---------------------------------------------------------------- loading


def is_state(folder: Path | str) -> bool:
    """Whether :func:`load_state` would find something there."""
    return (Path(folder) / "lab.json").is_file()


def load_state(folder: Path | str, *, speed: float = 1.0) -> Cluster:
    """The cluster that :func:`save` wrote, alive again.

    :raises StateError: nothing there, or not readable.
    """
    root = Path(folder)
    try:
        values = json.loads((root / "lab.json").read_text(encoding="utf-8"))
        if values.get("format") != FORMAT:
            raise StateError(f"{root}: the state has format {values.get('format')}, this lab knows {FORMAT}")
        return _load(root, values, speed)
    except FileNotFoundError as error:
        raise StateError(f"{root}: holds no saved state ({Path(str(error.filename)).name} is missing)") from error
    except OSError as error:
        raise StateError(f"{root}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{root}: the saved state is damaged ({error})") from error


def _load(root: Path, values: dict[str, Any], speed: float) -> Cluster:
    engine = Engine(values["now"], speed)
    version, numbers, gauss = values["random"]
    engine.random.setstate((version, tuple(numbers), gauss))
    cluster = Cluster(engine, values["name"])
    for path in values["files"]:
        cluster.fs.write(path, (root / "etc/pve" / path).read_text(encoding="utf-8"))
    for name in values["nodes"]:
        cluster.add_node(_node(json.loads((root / name / "node.json").read_text(encoding="utf-8"))))
        _load_backings(cluster, root / name / "volumes.json", name)
        _load_tasks(cluster, root / name / "tasks")
    _load_backings(cluster, root / "volumes.json", None)
    cluster.storages.unreachable = set(map(tuple, values["storages_unreachable"]))
    cluster.storages.next_guid = values["next_guid"]
    cluster.traits = {int(vmid): Traits(**traits) for vmid, traits in values["traits"].items()}
    cluster.file = values["file"]
    start_daemons(cluster)
    return cluster


def _node(values: dict[str, Any]) -> Node:
    values["cpu"] = Cpu(**values["cpu"])
    values["nics"] = [Nic(**nic) for nic in values["nics"]]
    values["running"] = {int(vmid): Running(**running) for vmid, running in values["running"].items()}
    values["release"] = tuple(values["release"])
    values["rootfs"] = tuple(values["rootfs"])
    return Node(**values)


def _load_backings(cluster: Cluster, path: Path, node: str | None) -> None:
    places: dict[str, Backing] = {}
    siblings: dict[str, list[str]] = {}
    for key, values in json.loads(path.read_text(encoding="utf-8")).items():
        siblings[key] = values.pop("siblings")
        volumes = values.pop("volumes")
        place = places[key] = Backing(**values)
        for row in volumes:
            snapshots = [Snapshot(**snapshot) for snapshot in row.pop("snapshots")]
            place.volumes[row["name"]] = Volume(**row, snapshots=snapshots)
        cluster.storages.add_backing(key, place, node)
    for key, names in siblings.items():
        places[key].siblings = [other for other in places.values() if other.name in names]


def _load_tasks(cluster: Cluster, folder: Path) -> None:
    ended = {}
    for line in (folder / "index").read_text(encoding="utf-8").splitlines():
        upid, when, status = line.split(" ", 2)
        ended[upid] = int(when, 16), status
    upids = [path.name for path in folder.glob("?/UPID:*")]
    for upid in sorted(upids, key=lambda item: (item.split(":")[4], item.split(":")[2])):
        _upid, node, pid, pstart, start, type, id, user = upid.split(":")[:8]
        endtime, status = ended.get(upid, (int(cluster.engine.now), "unexpected status"))
        task = Task(upid, node, int(pid, 16), int(pstart, 16), int(start, 16), type, id, user, exitstatus=status)
        task.lines = (folder / f"{int(start, 16):08X}"[-1] / upid).read_text(encoding="utf-8").splitlines()
        task.endtime = float(endtime)
        cluster.tasks.restore(task)
