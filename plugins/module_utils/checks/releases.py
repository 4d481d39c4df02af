# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases and versions: does a guest go from old to new, as it should? (pve-facts §8)"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.version import Machine, older, ordered

MACHINE = Kind(
    "machine-too-new",
    Severity.BLOCK,
    "The VM runs with, or is set to, a machine version that QEMU on the target does not have yet. For a VM that does"
    " not run this is a warning: it moves, but does not start there.",
    "A live move keeps the machine version that the VM was started with, and only the start on the target tells.",
    "upgrade the target, choose one that is as new as the source, or stop the VM and move it offline",
    "the machine version of the VM, the newest one of the target",
    enforced=True,
)
MTU = Kind(
    "target-too-old",
    Severity.BLOCK,
    "The VM runs with VirtIO network devices, and qemu-server on the target is too old to keep their MTU.",
    "From qemu-server 9.0.20 on the source hands the MTU over, which older releases do not understand.",
    "upgrade the target, or stop the VM and move it offline",
    "versions of qemu-server on either node",
    enforced=True,
)
BACKWARDS = Kind(
    "version-backwards",
    Severity.WARN,
    "The target has older packages than the node that the guest is on. For a guest that does not run on the way this is"
    " only a note, and only where the release is older.",
    "Proxmox supports moves from older to newer versions only; the other way it may work, nobody tests it, and Proxmox"
    " VE does not compare versions before it starts.",
    "upgrade the target first",
    "versions of the packages on either node",
)
MIXED = Kind(
    "mixed-releases",
    Severity.WARN,
    "Nodes of the cluster run different releases.",
    "That is meant for the time of an upgrade: live moves work from older to newer nodes only, and what an older node"
    " writes to datacenter.cfg or storage.cfg loses settings that it does not know.",
    "finish the upgrade; until then change cluster-wide settings only through the newest nodes",
    "nodes by release",
)
PACKAGES = Kind(
    "mixed-packages",
    Severity.INFO,
    "Nodes of one release differ in packages that matter for moves.",
    "A guest may not come back from the newer nodes while it runs.",
    "install the same updates on every node",
    "nodes by version, for each package",
)

MTU_SINCE = "9.0.20"
_DECIDING = {"qemu": ("pve-qemu-kvm", "qemu-server"), "lxc": ("pve-container",)}
_COMPARED = ("pve-container", "pve-ha-manager", "pve-manager", "pve-qemu-kvm", "qemu-server")


def machine(move: MoveFacts) -> Iterator[Finding]:
    """Against what QEMU on the target can start."""
    target = move.state.facts(move.target.name)
    wanted = _machine(move)
    newest = target.newest_machine(wanted.type) if target is not None and wanted is not None else None
    if target is None or wanted is None or newest is None:
        return
    same = [item for item in map(Machine.parse, target.machines) if item and _version(item) == _version(wanted)]
    top = max((item for item in same if item.type == wanted.type), default=None)
    if _version(wanted) <= _version(newest) and (top is None or wanted.level <= top.level):
        return
    how = "runs as" if move.live else "is set to"
    yield MACHINE.found(
        f"{move.guest.label} {how} {wanted}, and the newest that {target.name} has is"
        f" {top if _version(wanted) <= _version(newest) else newest}",
        f"upgrade {target.name}"
        + (", or stop the VM and move it offline" if move.live else f", or set an older machine for {move.guest.vmid}"),
        severity=None if move.live else Severity.WARN,
        guest=move.guest.vmid,
        node=target.name,
        machine=str(wanted),
        newest=str(newest),
    )


def _machine(move: MoveFacts) -> Machine | None:
    """The version of the process; where that was not read, and for VMs that do not run, the one that is configured."""
    config = move.config
    process = move.state.process(move.guest.vmid) if move.live else None
    running = Machine.parse(process.machine) if process is not None else None
    return running or Machine.parse(config.machine if config is not None else None)


def _version(item: Machine) -> tuple[int, int]:
    return (item.major, item.minor)


def direction(move: MoveFacts) -> Iterator[Finding]:
    """Packages of the target against those of the source."""
    source, target = move.state.facts(move.guest.node), move.state.facts(move.target.name)
    if source is None or target is None:
        return
    yield from _mtu(move, source, target)
    behind = {
        name: (source.packages[name], target.packages[name])
        for name in _DECIDING[move.guest.type]
        if name in source.packages and name in target.packages and older(target.packages[name], source.packages[name])
    }
    falls = bool(source.release and target.release and older(target.release, source.release))
    if not falls and not (behind and move.live):
        return
    if falls:
        what = f"Proxmox VE {target.release}, {source.name} {source.release}"
    else:
        what = "; ".join(f"{name} {there}, {source.name} {here}" for name, (here, there) in behind.items())
    yield BACKWARDS.found(
        f"{move.guest.label} would go from newer to older: {target.name} has {what}",
        f"upgrade {target.name} first",
        severity=None if move.live else Severity.INFO,
        guest=move.guest.vmid,
        node=target.name,
        packages={name: {source.name: here, target.name: there} for name, (here, there) in behind.items()},
        releases={source.name: source.release, target.name: target.release},
    )


def _mtu(move: MoveFacts, source: NodeFacts, target: NodeFacts) -> Iterator[Finding]:
    config = move.config
    here, there = source.packages.get("qemu-server"), target.packages.get("qemu-server")
    if not move.live or config is None or here is None or there is None:
        return
    nics = [nic.key for nic in config.nics if nic.model == "virtio"]
    if nics and older(there, MTU_SINCE) and not older(here, MTU_SINCE):
        yield MTU.found(
            f"{move.guest.label} has {', '.join(nics)} on VirtIO, and {target.name} with qemu-server {there} is too old"
            " to keep the MTU",
            f"upgrade {target.name} to qemu-server {MTU_SINCE} or newer, or stop the VM and move it offline",
            guest=move.guest.vmid,
            node=target.name,
            versions={source.name: here, target.name: there},
        )


def mixed(scope: Scope) -> Iterator[Finding]:
    """Of the whole cluster: a node that the work does not touch may still write common files."""
    alive = [facts for facts in scope.state.node_facts if facts.online]
    releases: dict[str, list[str]] = {}
    for facts in alive:
        if facts.release is not None:
            releases.setdefault(facts.release, []).append(facts.name)
    if len(releases) > 1:
        listed = "; ".join(f"{release} on {_few(releases[release])}" for release in sorted(releases, key=ordered))
        yield MIXED.found(f"nodes run different releases: {listed}", releases=releases)
    for release in sorted(releases, key=ordered):
        yield from _packages([facts for facts in alive if facts.release == release], release)


def _packages(alike: list[NodeFacts], release: str) -> Iterator[Finding]:
    differ: dict[str, dict[str, list[str]]] = {}
    for name in _COMPARED:
        versions: dict[str, list[str]] = {}
        for facts in alike:
            if name in facts.packages:
                versions.setdefault(facts.packages[name], []).append(facts.name)
        if len(versions) > 1:
            differ[name] = versions
    if differ:
        listed = ", ".join(f"{name} {' / '.join(sorted(versions, key=ordered))}" for name, versions in differ.items())
        yield PACKAGES.found(f"nodes on {release} differ in packages: {listed}", packages=differ)


def _few(names: list[str]) -> str:
    most = 4
    shown = ", ".join(sorted(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
