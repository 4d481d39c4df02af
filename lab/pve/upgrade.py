# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that wait for a node, and what changes when they are installed and when the node boots.

The daemons serve their new code at once, because their packages reload them; processes of guests keep the QEMU that
they were started with, and the kernel changes with the next boot (pve-facts §8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.pve.releases import profile

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.node import Node

KERNEL = "proxmox-kernel-"
SIGNED = "-signed"


def kernel_package(kernel: str) -> str:
    """``6.17.4-1-pve`` → ``proxmox-kernel-6.17.4-1-pve-signed``."""
    return f"{KERNEL}{kernel}{SIGNED}"


def pending_for(node: Node, version: str, kernel: str | None) -> dict[str, str]:
    """What an upgrade to ``version`` of pve-manager would install.

    :param kernel: None for the one that came with the release; the node's own for an upgrade without a new kernel.
    """
    major, minor = version.split(".")[:2]
    base = profile((int(major), int(minor)))
    wanted = dict(base.packages) | {"pve-manager": version}
    found = {name: text for name, text in wanted.items() if node.packages.get(name) != text}
    kernel = kernel or base.kernel
    if kernel != node.kernel:
        found[kernel_package(kernel)] = kernel.removesuffix("-pve")
    return found


def install(cluster: Cluster, node: Node) -> None:
    """Install all that waits."""
    pending, node.packages_pending = node.packages_pending, {}
    for name, version in pending.items():
        if name.startswith(KERNEL) and name.endswith(SIGNED):
            node.kernels.append(name.removeprefix(KERNEL).removesuffix(SIGNED))
        node.packages[name] = version
    if "pve-manager" in pending:
        node.version = pending["pve-manager"]
        major, minor = node.version.split(".")[:2]
        node.release = (int(major), int(minor))
        node.repoid = profile(node.release).repoid
    if "pve-qemu-kvm" in pending:
        node.qemu = pending["pve-qemu-kvm"].partition("-")[0]
    cluster.changed(node)


def boot_kernel(node: Node) -> str:
    """The kernel that the next boot takes: the pinned one, else the newest."""
    return node.pinned_kernel or max([node.kernel, *node.kernels], key=_parts)


def _parts(kernel: str) -> tuple[int, ...]:
    return tuple(int(part) for part in kernel.replace("-", ".").split(".") if part.isdigit())
