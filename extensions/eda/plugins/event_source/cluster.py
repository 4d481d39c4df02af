# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An event source for ansible-rulebook: nodes that go down and copies of guests that grow old.

ansible-rulebook runs this file by itself, without the loader of collections, so it uses nothing else of this one.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

DOCUMENTATION = r"""
---
module: cluster
short_description: Nodes that go down and copies of guests that grow old in a Proxmox VE cluster
description:
  - Looks at a cluster every so often, reads only, and sends an event when something changes, not each time.
  - C(type) is V(node_down), V(node_up), V(replica_stale), V(replica_fresh), V(unreachable) or V(reachable).
  - Events of nodes have C(node), C(online) (the nodes that are) and C(quorate).
  - Events of replicas have C(guest), C(job), C(source), C(target), C(age_s) (null before the first copy), C(fail_count)
    and C(error).
  - V(unreachable), when no API host answers, has C(hosts). All have C(cluster), the name of the cluster.
  - What is wrong already when it starts is told at once.
  - The token needs C(VM.Audit) on C(/vms) and C(Sys.Audit) on C(/nodes).
options:
  api_host:
    description: API host, or several, as C(host) or C(host:port); the next one is asked when one does not answer.
    type: list
    default: E(PROXMOX_HOST), separated by commas
  api_user:
    description: User with realm. E(PROXMOX_USER) is used when it is not given.
    type: str
  api_token_id:
    description: Name of the API token. E(PROXMOX_TOKEN_ID) is used when it is not given.
    type: str
  api_token_secret:
    description: Secret of the API token. E(PROXMOX_TOKEN_SECRET) is used when it is not given.
    type: str
  ca_path:
    description: File with the CA certificate of the cluster. E(PROXMOX_CA_PATH) is used when it is not given.
    type: str
  validate_certs:
    description: Whether the certificates of the API hosts must be trusted.
    type: bool
    default: true
  interval:
    description: Seconds from look to look.
    type: float
    default: 60
  stale_after:
    description:
      - A copy is stale when it is older than so many seconds, or its job fails.
      - Give more than the longest schedule explains.
    type: float
    default: 7200
  confirm:
    description: A node is down when so many looks in a row say so.
    type: int
    default: 2
"""

EXAMPLES = r"""
- pve.mobility.cluster:
    api_host: [pve1.example.org, pve2.example.org]
    api_user: automation@pve
    api_token_id: mobility
    api_token_secret: "{{ proxmox_token_secret }}"
    ca_path: /etc/ansible/pve-root-ca.pem
    interval: 30
    stale_after: 3600
"""

_PATIENCE = 15.0
"""Seconds for an answer."""
_DEFAULT_PORT = 8006

Event = dict[str, Any]


@dataclass(slots=True)
class Watch:
    """What was told, and what therefore is news. It asks nothing itself.

    :param stale_after: seconds. :param confirm: looks in a row before a node counts as down.
    """

    stale_after: float
    confirm: int
    cluster: str = ""
    down: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    reachable: bool = True
    _missed: dict[str, int] = field(default_factory=dict)

    def nodes(self, status: Iterable[Mapping[str, Any]]) -> list[Event]:
        """:param status: the answer of ``/cluster/status``."""
        rows = list(status)
        whole = next((row for row in rows if row["type"] == "cluster"), {})
        self.cluster = str(whole.get("name", self.cluster))
        online = {str(row["name"]): bool(row.get("online")) for row in rows if row["type"] == "node"}
        shared = {"online": sorted(name for name in online if online[name]), "quorate": bool(whole.get("quorate", 1))}
        events = []
        for name, here in online.items():
            self._missed[name] = 0 if here else self._missed.get(name, 0) + 1
            if here and name in self.down:
                self.down.discard(name)
                events.append(self._event("node_up", node=name, **shared))
            elif self._missed[name] >= self.confirm and name not in self.down:
                self.down.add(name)
                events.append(self._event("node_down", node=name, **shared))
        return events

    def replicas(self, jobs: Iterable[Mapping[str, Any]], now: float) -> list[Event]:
        """:param jobs: those of nodes that answered; about others nothing is known. :param now: the cluster's time."""
        events = []
        for job in jobs:
            name, last = str(job["id"]), float(job.get("last_sync") or 0)
            age, failed = now - last if last else None, int(job.get("fail_count") or 0)
            if job.get("disable"):
                self.stale.discard(name)
                continue
            stale = failed > 0 or (age is not None and age > self.stale_after)
            if stale == (name in self.stale):
                continue
            (self.stale.add if stale else self.stale.discard)(name)
            events.append(
                self._event(
                    "replica_stale" if stale else "replica_fresh",
                    job=name,
                    guest=int(job["guest"]),
                    source=job.get("source"),
                    target=job.get("target"),
                    age_s=None if age is None else round(age),
                    fail_count=failed,
                    error=str(job.get("error") or ""),
                )
            )
        return events

    def answered(self, answered: bool, hosts: list[str]) -> list[Event]:
        if answered == self.reachable:
            return []
        self.reachable = answered
        return [self._event("reachable" if answered else "unreachable", hosts=hosts)]

    def _event(self, kind: str, **more: Any) -> Event:
        return {"type": kind, "cluster": self.cluster, **more}


class NoAnswer(Exception):
    """Nobody could say it."""


class Cluster:
    """Reads the API, by way of the first host that answers."""

    def __init__(self, session: aiohttp.ClientSession, hosts: list[str]) -> None:
        self._session = session
        self.hosts = [host if ":" in host.rpartition("]")[2] else f"{host}:{_DEFAULT_PORT}" for host in hosts]

    async def get(self, path: str) -> Any:
        """:raises NoAnswer: no host has it. :raises PermissionError: the credentials do not do."""
        why = "no API host is given"
        for host in list(self.hosts):
            try:
                async with self._session.get(f"https://{host}/api2/json{path}") as answer:
                    if answer.status in (401, 403):
                        raise PermissionError(
                            f"{host} refused GET {path}: {answer.reason}. Check the token and its rights."
                        )
                    if answer.status == 200:
                        return (await answer.json(content_type=None))["data"]
                    why = f"{host}: {answer.status} {answer.reason}"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = f"{host}: {error or type(error).__name__}"
                # The next look begins with one that may answer.
                self.hosts.append(self.hosts.pop(self.hosts.index(host)))
        raise NoAnswer(why)


async def look(cluster: Cluster, watch: Watch) -> list[Event]:
    """One look at everything; what is new."""
    try:
        status = await cluster.get("/cluster/status")
    except NoAnswer:
        return watch.answered(False, cluster.hosts)
    events = watch.answered(True, cluster.hosts) + watch.nodes(status)
    for row in status:
        if row["type"] != "node" or not row.get("online"):
            continue
        node = quote(str(row["name"]))
        try:
            now = float((await cluster.get(f"/nodes/{node}/time"))["time"])
            events += watch.replicas(await cluster.get(f"/nodes/{node}/replication"), now)
        except NoAnswer:
            # It went down meanwhile; the next look says so.
            continue
    return events


async def main(queue: asyncio.Queue[Event], args: dict[str, Any]) -> None:
    """What ansible-rulebook calls."""
    given = {**_from_environment(), **{name: value for name, value in args.items() if value is not None}}
    missing = [name for name in ("api_host", "api_user", "api_token_id", "api_token_secret") if not given.get(name)]
    if missing:
        raise ValueError(
            f"pve.mobility.cluster needs {', '.join(missing)}: give them as options or as PROXMOX_* variables."
        )
    hosts = given["api_host"].split(",") if isinstance(given["api_host"], str) else given["api_host"]
    watch = Watch(float(given.get("stale_after", 7200)), int(given.get("confirm", 2)))
    user, _mark, rest = str(given["api_token_id"]).rpartition("!")
    token = f"{user or given['api_user']}!{rest}={given['api_token_secret']}"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=_trust(given)),
        headers={"Authorization": f"PVEAPIToken={token}"},
        timeout=aiohttp.ClientTimeout(total=_PATIENCE),
    ) as session:
        cluster = Cluster(session, [str(host).strip() for host in hosts])
        while True:
            for event in await look(cluster, watch):
                await queue.put(event)
            await asyncio.sleep(float(given.get("interval", 60)))


def _from_environment() -> dict[str, str]:
    names = {
        "api_host": "PROXMOX_HOST",
        "api_user": "PROXMOX_USER",
        "api_token_id": "PROXMOX_TOKEN_ID",
        "api_token_secret": "PROXMOX_TOKEN_SECRET",
        "ca_path": "PROXMOX_CA_PATH",
    }
    return {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}


def _trust(given: Mapping[str, Any]) -> ssl.SSLContext | bool:
    """Verified unless it is asked for otherwise, with the CA of the cluster when it is given."""
    if given.get("validate_certs", True) in (False, "false", "no", "0"):
        return False
    return ssl.create_default_context(cafile=given.get("ca_path"))
