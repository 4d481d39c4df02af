# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/ha``: resources and status (pve-ha-manager API2/HA/{Resources,Status}.pm; pve-facts §7)."""

from __future__ import annotations

import re
from typing import Any

import lab.ha.shell  # noqa: F401  # pylint: disable=unused-import  # registers the shell's commands
from lab.errors import Die
from lab.ha import status
from lab.ha.config import (
    KINDS,
    RESOURCE_NUMBERS,
    RESOURCE_OPTIONS,
    RESOURCES,
    STATES,
    Resource,
    check_domain_lock,
    delete_options,
    groups,
    groups_are_gone,
    options_text,
    parse_sid,
)
from lab.ha.rules import RULES, configured_rules, print_rules
from lab.http.formats import format_check
from lab.http.router import ANYBODY, Call, Param, check, opt, route
from lab.pve.pmxcfs import assert_digest, digest

AUDIT = check("/", "Sys.Audit")
CONSOLE = check("/", "Sys.Console")
_SID = Param("sid", format="pve-ha-resource-or-vm-id")
_NODE = Param("node", format="pve-node")
_DIGEST = opt("digest", max_length=64)
_DELETE = opt("delete", format="pve-configid-list", max_length=4096)
_OPTIONS = (
    opt("state", enum=STATES), opt("group", format="pve-configid"), opt("failback", "boolean", since=(9, 0)),
    opt("max_restart", "integer", minimum=0), opt("max_relocate", "integer", minimum=0),
    opt("comment", max_length=4096),
)  # fmt: skip
_TYPE = opt("type", enum=("ct", "vm"))


@format_check("pve-ha-resource-id")
def _resource_id(value: str) -> None:
    if not re.fullmatch(r"[a-z]+:\S+", value):
        raise ValueError("value does not look like a valid ha resource id")


@format_check("pve-ha-resource-or-vm-id")
def _resource_or_vm_id(value: str) -> None:
    if not value.isdigit():
        _resource_id(value)


@route("GET", "/cluster/ha", permission=AUDIT)
def index(call: Call) -> list[dict[str, str]]:
    names = ("status", "resources", "groups", "rules") if call.node.release >= (9, 0) else (
        "status", "resources", "groups")  # fmt: skip
    return [{"id": name} for name in names]


# ---------------------------------------------------------------- resources


def _row(call: Call, resource: Resource) -> dict[str, Any]:
    """What is not set is not told."""
    row: dict[str, Any] = {"sid": resource.sid, "type": resource.kind}
    for key, value in resource.values.items():
        row[key] = int(value) if key in RESOURCE_NUMBERS else value
    if resource.comment is not None:
        row["comment"] = resource.comment
    if groups_are_gone(call.cluster, call.node):
        row.pop("group", None)
    row["digest"] = digest(call.cluster.fs.read(RESOURCES))
    return row


@route("GET", "/cluster/ha/resources", _TYPE, permission=AUDIT)
def list_resources(call: Call) -> list[dict[str, Any]]:
    rows = []
    for resource in call.cluster.ha.resources().values():
        if call.get("type", resource.kind) != resource.kind:
            continue
        row = _row(call, resource)
        if "group" in row and row["group"] not in groups(call.cluster):
            row["errors"] = {"group": f"group '{row['group']}' does not exist"}
        rows.append(row)
    return rows


@route("GET", "/cluster/ha/resources/{sid}", _SID, permission=AUDIT)
def read_resource(call: Call) -> dict[str, Any]:
    sid = parse_sid(call.cluster, call["sid"])
    resource = call.cluster.ha.resources().get(sid)
    if resource is None:
        raise Die(f"no such resource '{sid}'")
    return _row(call, resource)


def _check_type(call: Call, sid: str) -> None:
    if call.get("type", sid.partition(":")[0]) != sid.partition(":")[0]:
        raise Die("types does not match")


def _check_guest(call: Call, sid: str) -> None:
    """:raises Die: what is wrong with a new resource's name."""
    kind, _colon, name = sid.partition(":")
    if kind not in KINDS:
        raise Die(f"unknown section type '{kind}'")
    if not re.fullmatch(r"[1-9][0-9]+", name):
        raise Die("invalid VMID")
    entry = call.cluster.guest(int(name))
    if entry is None:
        raise Die(f"resource '{sid}' does not exist in cluster")
    if entry.type != KINDS[kind]:
        raise Die(f"resource '{sid}' - guest with ID {name} is not a {'VM' if kind == 'vm' else 'container'}")


def _check_group(call: Call, must_exist: bool) -> None:
    if "group" not in call.params:
        return
    if groups_are_gone(call.cluster, call.node):
        raise Die("invalid parameter 'group': ha groups have been migrated to rules")
    if must_exist and call["group"] not in groups(call.cluster):
        raise Die(f"HA group '{call['group']}' does not exist")


@route("POST", "/cluster/ha/resources", _SID, _TYPE, *_OPTIONS, permission=CONSOLE, protected=True)
def create_resource(call: Call) -> None:
    call.cluster.check_quorum(call.node)
    sid = parse_sid(call.cluster, call["sid"])
    _check_type(call, sid)
    _check_group(call, call.node.release < (9, 0))
    _check_guest(call, sid)
    known = dict(call.cluster.ha.resources())
    check_domain_lock(call.cluster, call.node, "create resource failed")
    if sid in known:
        raise Die(f"create resource failed: resource ID '{sid}' already defined")
    kind, _colon, name = sid.partition(":")
    known[sid] = Resource(sid, kind, int(name), options_text(call.params, RESOURCE_OPTIONS))
    call.cluster.ha.write_resources(known)


@route("PUT", "/cluster/ha/resources/{sid}", _SID, _DIGEST, _DELETE, *_OPTIONS, permission=CONSOLE, protected=True)
def update_resource(call: Call) -> None:
    cluster, what = call.cluster, "update resources config failed"
    sid = parse_sid(cluster, call["sid"])
    _check_group(call, True)
    cluster.ha.check_state(sid, call.get("state"))
    check_domain_lock(cluster, call.node, what)
    known = dict(cluster.ha.resources())
    try:
        assert_digest(call.get("digest"), cluster.fs.read(RESOURCES))
        if sid not in known:
            raise Die(f"no such resource '{sid}'")
        values = {**known[sid].values, **options_text(call.params, RESOURCE_OPTIONS)}
        delete_options(values, call.get("delete"), RESOURCE_OPTIONS, ())
    except Die as reason:
        raise Die(f"{what}: {reason.reason}") from reason
    if call.get("comment") == "":
        values.pop("comment", None)
    known[sid] = known[sid].changed(values)
    cluster.ha.write_resources(known)


@route("DELETE", "/cluster/ha/resources/{sid}", _SID, opt("purge", "boolean", since=(9, 1)), permission=CONSOLE,
       protected=True)  # fmt: skip
def delete_resource(call: Call) -> None:
    """From 9.1 on rules forget the resource, too, unless told otherwise."""
    cluster = call.cluster
    sid = parse_sid(cluster, call["sid"])
    known = dict(cluster.ha.resources())
    if sid not in known:
        raise Die(f"cannot delete service '{sid}', not HA managed!")
    check_domain_lock(cluster, call.node, "delete resource failed")
    del known[sid]
    cluster.ha.write_resources(known)
    if call.node.release >= (9, 1) and call.get("purge", 1):
        purge_from_rules(call, sid)


def purge_from_rules(call: Call, sid: str) -> None:
    rules = configured_rules(call.cluster)
    if not any(sid in rule.resources for rule in rules.values()):
        return
    kept = []
    for rule in rules.values():
        resources = rule.resources - {sid}
        if resources:
            kept.append(rule.with_resources(resources))
    call.cluster.fs.write(RULES, print_rules(kept))


def _motion(call: Call, task: str) -> dict[str, Any] | None:
    """The answer tells who blocks; the command is queued whatever it says (pve-facts §7.2)."""
    sid = parse_sid(call.cluster, call["sid"])
    answer = call.cluster.ha.request_move(sid, call["node"], task, call.node)
    return answer if call.node.release >= (9, 0) else None


@route("POST", "/cluster/ha/resources/{sid}/migrate", _SID, _NODE, permission=CONSOLE, proxyto=None, protected=True)
def migrate(call: Call) -> dict[str, Any] | None:
    return _motion(call, "migrate")


@route("POST", "/cluster/ha/resources/{sid}/relocate", _SID, _NODE, permission=CONSOLE, proxyto=None, protected=True)
def relocate(call: Call) -> dict[str, Any] | None:
    return _motion(call, "relocate")


# ---------------------------------------------------------------- status


@route("GET", "/cluster/ha/status", permission=ANYBODY)
def status_index(call: Call) -> list[dict[str, str]]:
    names = ["current", "manager_status"]
    if call.node.release >= (9, 2):
        names += ["disarm-ha", "arm-ha"]
    return [{"name": name} for name in names]


@route("GET", "/cluster/ha/status/current", permission=AUDIT)
def status_current(call: Call) -> list[dict[str, Any]]:
    return status.current(call.cluster.ha, call.node)


@route("GET", "/cluster/ha/status/manager_status", permission=AUDIT)
def manager_status(call: Call) -> dict[str, Any]:
    return status.manager_status(call.cluster.ha, call.node)


@route("POST", "/cluster/ha/status/disarm-ha", Param("resource-mode", enum=("freeze", "ignore")), permission=CONSOLE,
       protected=True, since=(9, 2))  # fmt: skip
def disarm(call: Call) -> None:
    call.cluster.ha.queue(f"disarm-ha {call['resource-mode']}", call.node)


@route("POST", "/cluster/ha/status/arm-ha", permission=CONSOLE, protected=True, since=(9, 2))
def arm(call: Call) -> None:
    call.cluster.ha.queue("arm-ha", call.node)
