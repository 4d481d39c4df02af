# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ha:`` and ``replication:`` of a cluster file, and their short forms inside a guest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from lab.cluster_file.guests import Guest
from lab.cluster_file.reader import Map, as_names, as_text, fail, suggestion
from lab.pve.cluster import Cluster
from lab.pve.formats import Section, parse_property_string, print_section_config
from lab.pve.storage import Snapshot

RESOURCE_STATES = ("started", "stopped", "enabled", "disabled", "ignored")
_RESOURCE_KEYS = ("max_restart", "max_relocate", "comment", "failback", "group", "auto-rebalance")
BEHAVIOUR_KEYS = ("maintenance", "master", "settled", "disarmed")
"""Keys of ``ha:`` that describe what the HA manager is doing when the lab starts."""


def read_ha(top: Map, cluster: Cluster, guests: dict[int, Guest]) -> None:
    """Write ha/{resources,rules,groups}.cfg; what is left of the section goes to ``cluster.file['ha']``."""
    spec = top.map("ha")
    resources: dict[str, Section] = {}
    for vmid, guest in guests.items():
        if guest.ha not in (None, False):
            sid = f"{'ct' if guest.type == 'lxc' else 'vm'}:{vmid}"
            value = guest.ha if isinstance(guest.ha, dict) else {"state": "started" if guest.ha is True else guest.ha}
            resources[sid] = _resource(sid, Map(guest.spec.at("ha"), value))
    for key, own in spec.map("resources").items():
        sid = _sid(own.where, key, cluster)
        resources[sid] = _resource(sid, own)
    groups = [_group(name, own, cluster) for name, own in spec.map("groups").items()]
    rules = [_rule(name, own, cluster, resources) for name, own in spec.map("rules").items()]
    if groups and rules:
        fail(spec.where, "groups and rules exclude each other (rules came with 9.0 and replaced groups)")
    if rules and all(node.release < (9, 0) for node in cluster.nodes.values()):
        fail(spec.at("rules"), "no node is new enough for rules (9.0); use groups")
    known_groups = {group.id for group in groups}
    for sid, section in resources.items():
        group = section.values.get("group")
        if group is not None and group not in known_groups:
            fail(f"ha.resources.{sid}.group", f"there is no HA group '{group}'{suggestion(group, known_groups)}")
    for name, sections in (("resources", list(resources.values())), ("rules", rules), ("groups", groups)):
        if sections:
            cluster.fs.write(f"ha/{name}.cfg", print_section_config(sections, frozenset({"disable"})))
    behaviour = {key: spec.take(key) for key in BEHAVIOUR_KEYS if spec.has(key)}
    _nodes(spec.at("maintenance"), as_names(spec.at("maintenance"), behaviour.get("maintenance", [])), cluster)
    cluster.file["ha"] = behaviour
    spec.done(BEHAVIOUR_KEYS)


def _resource(sid: str, spec: Map) -> Section:
    kind, _colon, vmid = sid.partition(":")
    values = {"state": spec.choice("state", RESOURCE_STATES, "started")}
    for key in _RESOURCE_KEYS:
        if spec.has(key):
            values[key] = as_text(spec.at(key), spec.take(key))
    spec.done()
    if values["state"] == "enabled":
        values["state"] = "started"
    return Section(kind, vmid, values)


def _group(name: str, spec: Map, cluster: Cluster) -> Section:
    values = {"nodes": _priorities(spec, cluster)}
    for key in ("restricted", "nofailback"):
        if spec.has(key):
            values[key] = str(int(spec.flag(key)))
    if spec.has("comment"):
        values["comment"] = spec.text("comment")
    spec.done()
    return Section("group", name, values)


def _rule(name: str, spec: Map, cluster: Cluster, resources: dict[str, Section]) -> Section:
    kind = spec.choice("type", ("node-affinity", "resource-affinity"))
    if kind is None:
        fail(spec.where, "type is missing (node-affinity or resource-affinity)")
    sids = [_sid(spec.at("resources"), item, cluster) for item in spec.names("resources")]
    for sid in sids:
        if sid not in resources:
            fail(spec.at("resources"), f"'{sid}' is not managed by HA (give the guest ha: true)")
    if not sids:
        fail(spec.where, "resources is missing")
    values = {"resources": ",".join(sids)}
    if kind == "node-affinity":
        values["nodes"] = _priorities(spec, cluster)
        if spec.has("strict"):
            values["strict"] = str(int(spec.flag("strict")))
        if spec.has("affinity"):
            values["affinity"] = spec.choice("affinity", ("positive", "negative"))
    else:
        values["affinity"] = spec.choice("affinity", ("positive", "negative"), "positive")
        if len(sids) < 2:
            fail(spec.at("resources"), "a resource-affinity rule needs at least two resources")
    if spec.flag("disable"):
        values["disable"] = "1"
    if spec.has("comment"):
        values["comment"] = spec.text("comment")
    spec.done()
    return Section(kind, name, values)


def _priorities(spec: Map, cluster: Cluster) -> str:
    names = spec.names("nodes")
    _nodes(spec.at("nodes"), [item.partition(":")[0] for item in names], cluster)
    if not names:
        fail(spec.where, "nodes is missing")
    return ",".join(names)


def _sid(where: str, text: str, cluster: Cluster) -> str:
    match = re.fullmatch(r"(?:(vm|ct):)?(\d+)", text)
    entry = cluster.guest(int(match[2])) if match else None
    if match is None:
        fail(where, f"'{text}' is not an HA resource such as vm:100 or ct:200")
    if entry is None:
        fail(where, f"there is no guest {match[2]}")
    sid = f"{'ct' if entry.type == 'lxc' else 'vm'}:{entry.vmid}"
    if match[1] and not sid.startswith(match[1]):
        fail(where, f"guest {match[2]} is a {'container' if entry.type == 'lxc' else 'VM'}: write {sid}")
    return sid


def _nodes(where: str, nodes: list[str], cluster: Cluster) -> None:
    for node in nodes:
        if node not in cluster.nodes:
            fail(where, f"unknown node '{node}'{suggestion(node, cluster.nodes)}")


# ---------------------------------------------------------------- replication


def read_replication(top: Map, cluster: Cluster, guests: dict[int, Guest]) -> None:
    """Write replication.cfg, the state of each job, and the copies and snapshots that earlier runs left."""
    jobs: dict[str, Map] = {}
    for vmid, guest in guests.items():
        for number, (target, value) in enumerate(_short_jobs(guest).items()):
            jobs[f"{vmid}-{number}"] = Map(f"{guest.spec.at('replicate')}.{target}", {**value, "target": target})
    for name, spec in top.map("replication").items():
        if name in jobs:
            fail(spec.where, "this job is already described by the guest's replicate")
        jobs[name] = spec
    sections = []
    runs: list[_Run] = []
    for name, spec in jobs.items():
        match = re.fullmatch(r"(\d+)-(\d+)", name)
        if match is None or int(match[1]) not in guests:
            fail(spec.where, f"'{name}' is not the ID of a job such as 100-0 of a guest of this file")
        sections.append(_job(name, spec, cluster, guests[int(match[1])], runs))
    _leave_copies(cluster, runs)
    if sections:
        cluster.fs.write("replication.cfg", print_section_config(sections, frozenset({"disable"})))


def _short_jobs(guest: Guest) -> dict[str, dict[str, Any]]:
    value = guest.replicate
    if isinstance(value, dict):
        return {str(target): dict(Map(f"{guest.spec.at('replicate')}.{target}", own).rest())
                for target, own in value.items()}  # fmt: skip
    return {target: {} for target in as_names(guest.spec.at("replicate"), value or [])}


@dataclass(frozen=True, slots=True)
class _Run:
    """The last successful run of a job: which guest, to which node, when (Unix time), with which snapshot."""

    guest: Guest
    target: str
    when: int
    snapshot: str


def _job(name: str, spec: Map, cluster: Cluster, guest: Guest, runs: list[_Run]) -> Section:
    target = spec.text("target")
    if target is None:
        fail(spec.where, "target is missing")
    _nodes(spec.at("target"), [target], cluster)
    if target == guest.node.name:
        fail(spec.at("target"), f"guest {guest.vmid} is itself on node '{target}'")
    values = {"target": target}
    for key in ("schedule", "rate", "comment", "remove_job"):
        if spec.has(key):
            values[key] = as_text(spec.at(key), spec.take(key))
    if spec.flag("disable"):
        values["disable"] = "1"
    values["source"] = spec.text("source", guest.node.name)
    last_sync = spec.take("last_sync", "10m")
    fail_count = spec.integer("fail_count", 0, minimum=0)
    error = spec.text("error")
    duration = spec.number("duration", 4.2)
    last_try_age = spec.age("last_try")
    copies = spec.flag("copies", True)
    spec.done()
    if last_sync in ("never", None) and not fail_count:
        return Section("local", name, values)
    now = int(cluster.engine.epoch)
    synced = (
        0 if last_sync in ("never", None) else now - int(Map(spec.where, {"last_sync": last_sync}).age("last_sync"))
    )
    state: dict[str, Any] = {
        "last_sync": synced, "last_try": now - int(last_try_age) if last_try_age is not None else synced,
        "last_iteration": synced, "last_node": guest.node.name, "duration": duration, "fail_count": fail_count,
        "storeid_list": sorted({storage for storage, _volume in guest.volumes.values()}),
    }  # fmt: skip
    if fail_count:
        state["error"] = error or "command 'set -o pipefail && pvesm export' failed: exit code 255"
        state["last_try"] = now - int(last_try_age if last_try_age is not None else 60)
    guest.node.replication_state[name] = state
    if synced and copies:
        runs.append(_Run(guest, target, synced, f"__replicate_{name}_{synced}__"))
    return Section("local", name, values)


def _leave_copies(cluster: Cluster, runs: list[_Run]) -> None:
    """The replicas as the last runs left them: same volumes, same snapshots up to that moment, same GUIDs."""
    for run in sorted(runs, key=lambda item: item.when):
        for key, (storage, volume) in run.guest.volumes.items():
            value = run.guest.config.current.get(key, "")
            if cluster.storages.definition(storage).type != "zfspool" or "cloudinit" in volume.name:
                continue
            backing = cluster.storages.backing(storage, run.target)
            if backing is None or parse_property_string(value).get("replicate") == "0":
                continue
            volume.snapshots.append(Snapshot(run.snapshot, cluster.storages.new_guid(), run.when, volume.used))
            volume.snapshots.sort(key=lambda item: item.created)
            volume.dirty = int(volume.write_rate * (cluster.engine.epoch - run.when))
            copies = [replace(snapshot) for snapshot in volume.snapshots if snapshot.created <= run.when]
            backing.volumes[volume.name] = replace(volume, snapshots=copies, dirty=0)
