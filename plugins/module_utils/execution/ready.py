# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Can the cluster do without a node now, and is a node that was restarted really back?

Requests for each look: 5, 1 for each node that is online, and 4 more for the node that has to be back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Blocked,
    Invalid,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    PermissionDenied,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import read_rights, require
from ansible_collections.pve.mobility.plugins.module_utils.model.maintenance import maintenance
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob, replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.version import older

POLL = 5.0
CHECKS = ("quorum", "nodes", "replication", "backups", "ceph")
SERVICES = frozenset(
    ("corosync", "pve-cluster", "pve-ha-crm", "pve-ha-lrm", "pvedaemon", "pveproxy", "pvescheduler", "pvestatd")
)
"""Without any of these a node is not back. A node of its own has no corosync, and says so by its unit's state."""
NO_CEPH = ("not installed", "not initialized", "not enabled")
LATE = 900.0
"""Seconds by which a replication run may be late: runs of a node wait for each other (pve-facts §6.3)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """:ivar node: that has to be back; None to look at the cluster alone. :ivar version: that pve-manager must have at
    least. :ivar kernel: that must run. :ivar booted_after: Unix time by the cluster.
    :ivar without: nodes that may be off or in maintenance. :ivar accept: checks whose problems do not count.
    """

    node: str | None = None
    version: str | None = None
    kernel: str | None = None
    booted_after: int | None = None
    without: frozenset[str] = frozenset()
    checks: tuple[str, ...] = CHECKS
    timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """``check``: by which it was found. ``remedy``: what to do about it."""

    check: str
    message: str
    remedy: str
    node: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Seen:
    """One look. :ivar time: Unix time in the cluster, 0 when nobody told. :ivar noout: None without Ceph."""

    problems: list[Problem] = field(default_factory=list)
    time: int = 0
    version: str | None = None
    kernel: str | None = None
    uptime: int | None = None
    ceph: str | None = None
    noout: bool | None = None


def from_options(options: Mapping[str, Any]) -> Wanted:
    """:raises Invalid: a value that cannot be right."""
    accept = set(options.get("accept") or ())
    unknown = sorted(accept - set(CHECKS))
    if unknown:
        raise Invalid(f"accept: there is no check {unknown[0]}; there are {', '.join(CHECKS)}.")
    if (options.get("timeout") or 0) < 0:
        raise Invalid("timeout must be 0 (one look) or more seconds.")
    return Wanted(
        options.get("node") or None,
        options.get("version") or None,
        options.get("kernel") or None,
        options.get("booted_after"),
        frozenset(options.get("without") or ()),
        tuple(name for name in (CHECKS if options.get("checks") is None else options["checks"]) if name not in accept),
        float(options.get("timeout") or 0),
    )


def run(session: Session, clock: Clock, wanted: Wanted) -> dict[str, Any]:
    """The module's result.

    :raises Blocked: something is not as it should be. :raises TimedOut: it still is not when the time is up.
    """
    begun = clock.monotonic()
    _may(session, wanted)
    while True:
        seen = _look(session, wanted)
        passed = clock.monotonic() - begun
        if not seen.problems:
            return _result(seen, passed)
        if passed >= wanted.timeout:
            raise _not_ready(wanted, seen, passed)
        clock.sleep(min(POLL, wanted.timeout - passed))


def _may(session: Session, wanted: Wanted) -> None:
    """What one may not see would pass for well. While no host answers, the first look says so.

    :raises PermissionDenied: names what is missing.
    """
    uses = ["cluster_ready", *(["cluster_ready.node"] if wanted.node is not None else [])]
    uses += [f"cluster_ready.{name}" for name in ("backups", "replication") if name in wanted.checks]
    try:
        rights = read_rights(session)
    except (NodeUnreachable, NoQuorum):
        session.rotate()
        return
    require(rights, uses, "to see that all is well")


def _result(seen: Seen, seconds: float) -> dict[str, Any]:
    return {
        "changed": False,
        "ready": not seen.problems,
        "problems": [problem.as_dict() for problem in seen.problems],
        "time": seen.time,
        "version": seen.version,
        "kernel": seen.kernel,
        "uptime": seen.uptime,
        "ceph": {"present": seen.ceph is not None, "health": seen.ceph, "noout": bool(seen.noout)},
        "duration_s": round(seconds, 1),
    }


def _not_ready(wanted: Wanted, seen: Seen, seconds: float) -> MobilityError:
    first, *more = seen.problems
    rest = f" (and {len(more)} more)" if more else ""
    what = f"{wanted.node} is not back" if wanted.node else "The cluster is not ready"
    text = f"{first.message}{rest}; {first.remedy}."
    facts = _result(seen, seconds)
    if wanted.timeout:
        return TimedOut(f"{what} after {wanted.timeout:g} s: {text}", **facts)
    return Blocked(f"{what}: {text}", **facts)


# ---------------------------------------------------------------- looking


def _look(session: Session, wanted: Wanted) -> Seen:
    seen = Seen()
    try:
        rows = session.get("/cluster/status") or ()
    except (NodeUnreachable, NoQuorum) as silence:
        session.rotate()
        seen.problems.append(Problem("quorum", silence.message.rstrip("."), "bring back a node of api_host"))
        return seen
    nodes = {str(row["name"]): bool(row.get("online")) for row in rows if row.get("type") == "node"}
    cluster: Mapping[str, Any] = next((row for row in rows if row.get("type") == "cluster"), {})
    if wanted.node is not None and wanted.node not in nodes:
        raise Invalid(f"The cluster has no node {wanted.node}; its nodes are: {', '.join(sorted(nodes))}.")
    _look_at_nodes(session, wanted, nodes, bool(cluster.get("quorate", 1)), seen)
    local = next((str(row["name"]) for row in rows if row.get("local")), next(iter(nodes), ""))
    try:
        seen.time = int(session.get(f"/nodes/{local}/time").get("time", 0))
    except (PermissionDenied, NodeUnreachable):
        seen.time = 0
    if "replication" in wanted.checks:
        seen.problems += _replication(session, (name for name, online in nodes.items() if online), seen.time)
    if "backups" in wanted.checks:
        seen.problems += _backups(session)
    _ceph(session, wanted, seen)
    if wanted.node is not None and nodes[wanted.node]:
        _look_at_node(session, wanted, wanted.node, seen)
    return seen


def _look_at_nodes(session: Session, wanted: Wanted, nodes: Mapping[str, bool], quorate: bool, seen: Seen) -> None:
    online = [name for name, up in nodes.items() if up]
    if "quorum" in wanted.checks:
        if not quorate:
            seen.problems.append(Problem("quorum", "the cluster has no quorum", "bring back a majority of the nodes"))
        elif wanted.node is None and len(nodes) > 1:
            left = [name for name in online if name not in wanted.without]
            after = len(left) if wanted.without else len(online) - 1
            if after * 2 <= len(nodes):
                missing = " and ".join(sorted(wanted.without)) or "one node more"
                text = f"without {missing} the cluster would lose its quorum: {after} of {len(nodes)} would be left"
                remedy = "bring back the nodes that are off, or add a QDevice and accept quorum"
                seen.problems.append(Problem("quorum", text, remedy))
    must = set(nodes) if "nodes" in wanted.checks else set()
    must -= set() if wanted.node in wanted.without else wanted.without
    if wanted.node is not None:
        must.add(wanted.node)
    for name in sorted(must):
        if not nodes[name]:
            seen.problems.append(Problem("nodes", f"{name} is offline", f"bring {name} back", name))
    if "nodes" in wanted.checks or wanted.node is not None:
        seen.problems += _ha(session, must, set(online), wanted)


def _ha(session: Session, must: set[str], online: set[str], wanted: Wanted) -> list[Problem]:
    """Nodes that the HA manager does not have in service, and resource managers that do not work."""
    try:
        answer = session.get("/cluster/ha/status/manager_status")
    except ApiError:
        return []
    found = []
    for name in sorted(must & online):
        state = maintenance(answer, name)
        if not state.managed:
            return []
        if state.node_state == "maintenance" or state.requested:
            if name == wanted.node or name in wanted.without:
                continue
            remedy = f"take it out of it (ha-manager crm-command node-maintenance disable {name})"
            found.append(Problem("nodes", f"{name} is in HA maintenance mode", remedy, name))
        elif state.node_state != "online":
            text = f"{name} is {state.node_state} for the HA manager"
            found.append(Problem("nodes", text, "wait until its resource manager works again", name))
    return found


def _replication(session: Session, nodes: Iterable[str], now: int) -> list[Problem]:
    found = []
    for node in nodes:
        try:
            rows = session.get(f"/nodes/{node}/replication") or ()
        except ApiError:
            continue
        for row in rows:
            job = replication_job(row)
            text = _late(job, now)
            if text:
                remedy = f"see the log of job {job.id} on {node}"
                found.append(Problem("replication", f"replication job {job.id} to {job.target} {text}", remedy, node))
    return found


def _late(job: ReplicationJob, now: int) -> str:
    if job.disabled or job.removing is not None or not job.seen:
        return ""
    if job.fail_count or job.error:
        return f"fails ({job.error or 'no reason given'})"
    if not job.last_sync and not job.running:
        return "has never run"
    if now and job.next_sync > 1 and not job.running and now - job.next_sync > LATE:
        return f"is {round((now - job.next_sync) / 60)} min late"
    return ""


def _backups(session: Session) -> list[Problem]:
    try:
        rows = session.get("/cluster/tasks") or ()
    except ApiError:
        return []
    running = [row for row in rows if row.get("type") == "vzdump" and not row.get("endtime")]
    return [
        Problem(
            "backups", f"a backup runs on {row['node']} ({row['upid']})", "wait until it has ended", str(row["node"])
        )
        for row in running
    ]


def _ceph(session: Session, wanted: Wanted, seen: Seen) -> None:
    """Where the nodes run a Ceph of their own. A Ceph of others is none of a node's concern."""
    try:
        health = (session.get("/cluster/ceph/status") or {}).get("health") or {}
        seen.ceph = str(health.get("status", "unknown"))
        seen.noout = bool(int(session.get("/cluster/ceph/flags/noout") or 0))
    except ApiError as error:
        if any(text in error.reason for text in NO_CEPH) or isinstance(error, PermissionDenied):
            return
        seen.ceph = seen.ceph or "unknown"
        if "ceph" in wanted.checks:
            seen.problems.append(Problem("ceph", f"Ceph does not answer: {error.message.rstrip('.')}", "see ceph -s"))
        return
    checks = health.get("checks") or {}
    # The flag is what is wanted while a node restarts.
    others = {name: row for name, row in checks.items() if name != "OSDMAP_FLAGS"}
    if "ceph" in wanted.checks and seen.ceph != "HEALTH_OK" and (others or not checks):
        why = "; ".join(str((row.get("summary") or {}).get("message", name)) for name, row in sorted(others.items()))
        seen.problems.append(
            Problem("ceph", f"Ceph is {seen.ceph}: {why or 'no reason given'}", "see ceph health detail")
        )


def _on(row: Mapping[str, Any], key: str, default: int = 0) -> bool:
    """A storage that is for other nodes is listed too, and is not enabled there."""
    return bool(int(row.get(key, default) or 0))


def _look_at_node(session: Session, wanted: Wanted, node: str, seen: Seen) -> None:
    """That its daemons serve, and what they serve."""
    try:
        seen.version = str(session.get(f"/nodes/{node}/version").get("version", ""))
        status = session.get(f"/nodes/{node}/status")
        services = session.get(f"/nodes/{node}/services") or ()
        storages = session.get(f"/nodes/{node}/storage", {"enabled": True}) or ()
    except (NodeUnreachable, NoQuorum) as silence:
        seen.problems.append(Problem("nodes", silence.message.rstrip("."), f"wait until {node} serves", node))
        return
    seen.kernel = str((status.get("current-kernel") or {}).get("release") or "") or None
    seen.uptime = int(status.get("uptime", 0) or 0)
    if wanted.version and older(seen.version, wanted.version):
        text = f"{node} runs pve-manager {seen.version}, not {wanted.version}"
        seen.problems.append(Problem("version", text, "see whether apt has installed everything", node))
    if wanted.kernel and seen.kernel != wanted.kernel:
        text = f"{node} runs kernel {seen.kernel}, not {wanted.kernel}"
        seen.problems.append(Problem("kernel", text, "see proxmox-boot-tool kernel list", node))
    if wanted.booted_after and seen.time and seen.time - seen.uptime <= wanted.booted_after:
        text = f"{node} has not been restarted since"
        seen.problems.append(Problem("boot", text, "wait, or look at its console", node))
    down = sorted(
        str(row["service"])
        for row in services
        if row.get("service") in SERVICES and row.get("state") != "running" and row.get("unit-state") == "enabled"
    )
    if down:
        text = f"on {node} {', '.join(down)} {'does' if len(down) == 1 else 'do'} not run"
        seen.problems.append(Problem("services", text, f"see systemctl status {down[0]}", node))
    dead = sorted(str(row["storage"]) for row in storages if _on(row, "enabled", 1) and not _on(row, "active"))
    if dead:
        text = f"on {node} {', '.join(dead)} {'is' if len(dead) == 1 else 'are'} not active"
        seen.problems.append(Problem("storages", text, "see pvesm status", node))
