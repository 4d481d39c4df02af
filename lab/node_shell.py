# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is typed on the shell of a node to upgrade and restart it: apt-get, pveversion, uname, systemctl …"""

from __future__ import annotations

import json
from typing import cast

from lab.control import shell_command
from lab.errors import Die
from lab.ha.shutdown import shut_down
from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.pve.upgrade import install

REFRESH_SECONDS = 4.0
SECONDS_PER_PACKAGE = 3.0
_PLACES = "http://download.proxmox.com/debian/pve trixie"
_DAEMONS = frozenset(
    "chrony corosync cron ksmtuned lxcfs postfix proxmox-firewall pve-cluster pve-firewall pve-ha-crm pve-ha-lrm"
    " pvedaemon pvefw-logger pveproxy pvescheduler pvestatd qmeventd spiceproxy sshd watchdog-mux zfs-zed".split()
)


@shell_command("apt-get")
def apt_get(cluster: Cluster, node: Node, words: list[str]) -> str:
    """``apt-get update``, ``apt-get [-y] [-s] full-upgrade``; time passes as it does on a quiet node."""
    flags = {word for word in words if word.startswith("-")}
    orders = [word for word in words if not word.startswith("-") and "::" not in word]
    if len(orders) != 1 or orders[0] not in {
        "update",
        "upgrade",
        "full-upgrade",
        "dist-upgrade",
        "autoremove",
        "clean",
    }:
        raise Die(f"E: Invalid operation {' '.join(orders)}")
    if orders[0] == "update":
        cluster.engine.advance(REFRESH_SECONDS)
        return f"Hit:1 {_PLACES} InRelease\nReading package lists...\n"
    pending = node.packages_pending if orders[0] in {"upgrade", "full-upgrade", "dist-upgrade"} else {}
    added = [name for name in pending if name not in node.packages]
    counts = f"{len(pending) - len(added)} upgraded, {len(added)} newly installed, 0 to remove and 0 not upgraded.\n"
    head = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n"
    if flags & {"-s", "--simulate", "--just-print", "--dry-run", "--no-act"}:
        return (
            head
            + counts
            + "".join(f"Inst {name} [{node.packages.get(name, '')}] ({pending[name]})\n" for name in pending)
        )
    if pending and not flags & {"-y", "--yes", "--assume-yes", "-qq"}:
        raise Die(f"{head}{counts}Do you want to continue? [Y/n] Abort.")
    lines = "".join(f"Setting up {name} ({pending[name]}) ...\n" for name in pending)
    cluster.engine.advance(SECONDS_PER_PACKAGE * len(pending))
    if pending:
        install(cluster, node)
    return head + counts + lines


@shell_command("pvesh get")
def pvesh_get(cluster: Cluster, node: Node, words: list[str]) -> str:
    """``pvesh get <path> [--name value …] --output-format json``: the API as root on this node, without the network."""
    return _pvesh("GET", cluster, node, words)


@shell_command("pvesh create")
def pvesh_create(cluster: Cluster, node: Node, words: list[str]) -> str:
    return _pvesh("POST", cluster, node, words)


@shell_command("pvesh delete")
def pvesh_delete(cluster: Cluster, node: Node, words: list[str]) -> str:
    return _pvesh("DELETE", cluster, node, words)


def _pvesh(method: str, cluster: Cluster, node: Node, words: list[str]) -> str:
    # The gateway knows all methods, and some of these register what is typed on a shell.
    from lab.http.gateway import Answer, Gateway, Request

    if not words or len(words) % 2 == 0:
        raise Die("400 not enough arguments\npvesh get <api_path> [OPTIONS] [FORMAT_OPTIONS]")
    options = {name.removeprefix("--"): value for name, value in zip(words[1::2], words[2::2], strict=True)}
    if options.pop("output-format", "text") != "json" and method == "GET":
        raise Die("The lab's pvesh speaks JSON only: --output-format json")
    headers = {"cookie": f"PVEAuthCookie={cluster.users.issue_ticket('root@pam')}"}
    headers |= {"csrfpreventiontoken": cluster.users.issue_csrf("root@pam")} if method != "GET" else {}
    request = Request(method, words[0], dict(options), headers, node.name, None)
    process = cluster.engine.spawn(Gateway(cluster).serve(request))
    while not process.triggered:
        cluster.engine.env.step()
    answer = cast(Answer, process.value)
    if answer.status != 200 or answer.body is None:
        raise Die(answer.reason)
    data = answer.body["data"]
    # pvesh prints nothing for null.
    return "" if data is None else json.dumps(data) + "\n"


@shell_command("pveversion")
def pveversion(_cluster: Cluster, node: Node, _words: list[str]) -> str:
    return f"pve-manager/{node.packages['pve-manager']}/{node.repoid} (running kernel: {node.kernel})\n"


@shell_command("uname")
def uname(_cluster: Cluster, node: Node, words: list[str]) -> str:
    return f"{node.kernel if words == ['-r'] else 'Linux'}\n"


@shell_command("proxmox-boot-tool kernel list")
def kernel_list(_cluster: Cluster, node: Node, _words: list[str]) -> str:
    """Which kernels can be booted; the pinned one, if there is one, goes first."""
    known = list(dict.fromkeys([node.kernel, *node.kernels]))
    text = "Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n" + "".join(
        f"{name}\n" for name in known
    )
    return text + (f"\nPinned kernel:\n{node.pinned_kernel}\n" if node.pinned_kernel else "")


@shell_command("systemctl is-active")
def is_active(_cluster: Cluster, node: Node, words: list[str]) -> str:
    """All of the units; one that is not active makes it fail, as the program does."""
    down = {name for name, up in (("pveproxy", node.proxy_up), ("pvedaemon", node.daemon_up)) if not up}
    states = []
    for word in (word for word in words if not word.startswith("-")):
        unit = word.removesuffix(".service")
        states.append("active" if unit in _DAEMONS - down else "inactive")
    text = "".join(f"{state}\n" for state in states)
    if "inactive" in states:
        raise Die(text.rstrip("\n"))
    return text


@shell_command("ceph osd")
def ceph_osd(cluster: Cluster, _node: Node, words: list[str]) -> str:
    """``ceph osd set|unset <flag>``."""
    ceph = cluster.file.get("ceph")
    if ceph is None:
        raise Die(
            "Error initializing cluster client: ObjectNotFound('RADOS object not found (error calling conf_read_file)')"
        )
    if len(words) != 2 or words[0] not in {"set", "unset"}:
        raise Die(f"no valid command found; osd {' '.join(words)}")
    flags = set(ceph["flags"])
    ceph["flags"] = sorted(flags | {words[1]} if words[0] == "set" else flags - {words[1]})
    return f"{words[1]} is {words[0]}\n"


@shell_command("systemctl reboot")
def systemctl_reboot(cluster: Cluster, node: Node, _words: list[str]) -> None:
    shut_down(cluster, node, "reboot")
