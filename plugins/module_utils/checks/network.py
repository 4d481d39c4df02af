# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks of guests: bridges, VLANs and MTUs on the target (pve-facts §1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.network import DEFAULT_MTU, Interface, ranges
from ansible_collections.pve.mobility.plugins.module_utils.model.nic import Nic

BRIDGE = Kind(
    "bridge-missing",
    Severity.BLOCK,
    "The target does not have a bridge or VNet of the guest, or the bridge is not active there. For a guest that does"
    " not run this is a warning: it moves, but does not start there.",
    "Proxmox VE does not look before; the start on the target fails, after the disks were copied.",
    "create the bridge on the target, or extend the zone of the VNet to it",
    "network device, bridge, bridges of the target",
    enforced=True,
)
REFUSED = Kind(
    "vlan-refused",
    Severity.BLOCK,
    "The guest uses VLANs on a bridge that cannot give them on the target: trunks need a VLAN-aware bridge, a tag needs"
    " one, or a physical port on it. For a guest that does not run this is a warning.",
    "The start on the target fails.",
    "make the bridge VLAN-aware on the target, as it is on the source",
    "network device, bridge, tag or trunks",
    enforced=True,
)
VLAN = Kind(
    "vlan-missing",
    Severity.BLOCK,
    "The bridge on the target does not carry a VLAN of the guest.",
    "The guest arrives and runs, without a connection.",
    "add the VLAN to bridge-vids of the bridge on the target",
    "network device, bridge, the VLANs that are missing",
)
NIC_MTU = Kind(
    "nic-mtu",
    Severity.BLOCK,
    "A VirtIO device of the VM has a greater MTU than its bridge has on the target. For a VM that does not run this is"
    " a warning.",
    "Proxmox VE refuses to start it there.",
    "set the same MTU on the bridge of every node, or a smaller one for the device",
    "network device, bridge, either MTU",
    enforced=True,
)
BRIDGE_MTU = Kind(
    "bridge-mtu",
    Severity.WARN,
    "A bridge of the guest has a smaller MTU on the target than on its node.",
    "The guest keeps sending packets of the size that it knows, and those that are too large are lost: connections work"
    " until much data goes over them.",
    "set the same MTU on the bridge of every node",
    "network device, bridge, MTU on either node",
)

_PORT = re.compile(r"(?:(?:eth|bond)\d+|en[^.]+)(?:\.\d+)?")
"""What Proxmox VE takes for a physical port of a bridge."""


def devices(move: MoveFacts) -> Iterator[Finding]:
    """Of guests whose configuration is known, to nodes whose interfaces are."""
    config, target, state = move.config, move.target.name, move.state
    there = state.bridges(target)
    # A list from which bridges may be missing for want of a privilege proves nothing.
    if config is None or there is None or not state.knows("node_facts.interfaces", target):
        return
    for nic in config.nics:
        if nic.bridge is None:
            continue
        bridge = state.interface(target, nic.bridge)
        if nic.bridge not in there or (bridge is not None and not bridge.active):
            if bridge is None and not state.knows("network"):
                continue
            yield from _missing(move, nic, bridge, there)
        elif bridge is not None:
            yield from _vlans(move, nic, bridge)
            yield from _mtu(move, nic, bridge)


def _severity(move: MoveFacts) -> Severity | None:
    """What fails at the start does so on the way of a guest that runs, and later for others."""
    return Severity.WARN if move.mode is Mode.OFFLINE else None


def _missing(move: MoveFacts, nic: Nic, bridge: Interface | None, there: frozenset[str]) -> Iterator[Finding]:
    target = move.target.name
    what = "does not have" if bridge is None else "has not started"
    yield BRIDGE.found(
        f"{nic.key} of {move.guest.label} is on {nic.bridge}, which {target} {what}",
        f"create {nic.bridge} on {target}, or extend the zone of the VNet to it"
        if bridge is None
        else f"start {nic.bridge} on {target} (ifup {nic.bridge})",
        severity=_severity(move),
        guest=move.guest.vmid,
        node=target,
        device=nic.key,
        bridge=nic.bridge,
        bridges=sorted(there),
    )


def _vlans(move: MoveFacts, nic: Nic, bridge: Interface) -> Iterator[Finding]:
    target = move.target.name
    if bridge.type != "bridge" or not (nic.tag or nic.trunks):
        return
    if not bridge.vlan_aware:
        why = None
        if nic.trunks:
            why = f"has trunks ({nic.trunks}), for which {bridge.name} on {target} would have to be VLAN-aware"
        elif not any(_PORT.fullmatch(port) for port in bridge.ports):
            why = f"has tag {nic.tag}, and {bridge.name} on {target} is not VLAN-aware and has no physical port"
        if why is not None:
            yield REFUSED.found(
                f"{nic.key} of {move.guest.label} {why}",
                f"make {bridge.name} VLAN-aware on {target}",
                severity=_severity(move),
                guest=move.guest.vmid,
                node=target,
                tag=nic.tag,
                trunks=nic.trunks,
                device=nic.key,
                bridge=bridge.name,
            )
        return
    wanted = [(nic.tag, nic.tag)] if nic.tag else []
    wanted += ranges(nic.trunks)
    lost = [f"{low}-{high}" if low < high else f"{low}" for low, high in wanted if not bridge.carries(low, high)]
    if lost:
        yield VLAN.found(
            f"{nic.key} of {move.guest.label} needs VLAN {', '.join(lost)}, which {bridge.name} on {target} does not"
            " carry",
            f"add VLAN {', '.join(lost)} to bridge-vids of {bridge.name} on {target}",
            guest=move.guest.vmid,
            node=target,
            vlans=lost,
            device=nic.key,
            bridge=bridge.name,
        )


def _mtu(move: MoveFacts, nic: Nic, bridge: Interface) -> Iterator[Finding]:
    target = move.target.name
    there = _effective(move, target, bridge)
    if move.guest.type == "qemu" and nic.model == "virtio" and nic.mtu is not None and nic.mtu > max(there, 1):
        yield NIC_MTU.found(
            f"{nic.key} of {move.guest.label} has MTU {nic.mtu}, and {bridge.name} on {target} only {there}",
            f"set MTU {nic.mtu} on {bridge.name} of {target}, or a smaller one for {nic.key}",
            severity=_severity(move),
            guest=move.guest.vmid,
            node=target,
            device=nic.key,
            bridge=bridge.name,
            wanted=nic.mtu,
            mtu=there,
        )
        return
    home = move.state.interface(move.guest.node, bridge.name)
    here = _effective(move, move.guest.node, home) if home is not None else there
    if there < here and (nic.mtu is None or nic.mtu == 1 or nic.mtu > there):
        yield BRIDGE_MTU.found(
            f"{bridge.name}, on which {nic.key} of {move.guest.label} is, has MTU {there} on {target} and {here} on"
            f" {move.guest.node}",
            guest=move.guest.vmid,
            node=target,
            device=nic.key,
            bridge=bridge.name,
            mtus={move.guest.node: here, target: there},
        )


def _effective(move: MoveFacts, node: str, bridge: Interface) -> int:
    """A bridge without an MTU of its own has the smallest of its ports."""
    if bridge.mtu is not None:
        return bridge.mtu
    ports = [move.state.interface(node, name) for name in bridge.ports]
    return min((port.mtu or DEFAULT_MTU for port in ports if port is not None), default=DEFAULT_MTU)
