# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices: what a guest uses of its node, shared directories, memory encryption and scripts too (pve-facts §1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode, MoveFacts

PASSTHROUGH = Kind(
    "passthrough",
    Severity.BLOCK,
    "The guest uses a device of its node: a PCI or USB device, a serial or parallel port, or shared memory.",
    "A device cannot travel. One that is named itself blocks every move; one under a resource mapping blocks a live"
    " move, unless it is a PCI device whose mapping is live-migration-capable.",
    "remove the device, or map it on both nodes and move the guest offline",
    "key of the configuration, name of the mapping",
    enforced=True,
)
FORCED = Kind(
    "passthrough-forced",
    Severity.BLOCK,
    "The guest uses a device of its node or encrypts its memory, and it is under HA.",
    "The HA manager forces the move. What then becomes of the device is left to QEMU: the guest fails to start, or it"
    " gets whatever has that address on the target.",
    "remove the device, or take the guest out of HA (ignored) and move it while it is off",
    "key of the configuration",
)
MAPPING = Kind(
    "mapping-missing",
    Severity.BLOCK,
    "A device or directory of the guest is mapped, and the mapping has none on the target.",
    "Proxmox VE refuses the move, live or not.",
    "add the target to the resource mapping (Datacenter, Resource Mappings)",
    "key of the configuration",
    enforced=True,
)
VIRTIOFS = Kind(
    "virtiofs-live",
    Severity.BLOCK,
    "The running VM has a directory of its node mounted over virtiofs.",
    "Proxmox VE moves such VMs only while they are stopped.",
    "stop the VM and move it offline",
    enforced=True,
)
VIRTIOFS_DATA = Kind(
    "virtiofs-data",
    Severity.WARN,
    "The VM shares a directory of its node over virtiofs; on the target the same name stands for another directory.",
    "Files in it do not move along, unless the directories are one on storage that both nodes have.",
    "see that the directory on the target holds the same files",
    "key of the configuration, the directory on either node",
)
CONFIDENTIAL = Kind(
    "confidential",
    Severity.BLOCK,
    "The running VM encrypts its memory (AMD SEV or Intel TDX).",
    "Its memory cannot be read for a live move, so Proxmox VE refuses it.",
    "stop the VM and move it offline",
    "amd-sev or intel-tdx",
    enforced=True,
)
CLIPBOARD = Kind(
    "clipboard",
    Severity.BLOCK,
    "The running VM has the VNC clipboard, and its machine version is older than 10.1.",
    "Proxmox VE refuses a live move; a restart on a node with QEMU 10.1 lifts this.",
    "set the clipboard of its display back to default and restart it, or move it offline",
    "the machine version that it runs with",
    enforced=True,
)
ARGUMENTS = Kind(
    "qemu-args",
    Severity.WARN,
    "The VM has arguments for QEMU of its own (args).",
    "Nothing checks them: what they name on one node, such as files or devices, may not be there on another, and state"
    " that they add may not travel.",
    "read them, and try the move with a copy of the VM first",
    "the arguments",
)
HOOKSCRIPT = Kind(
    "hookscript-local",
    Severity.BLOCK,
    "The guest's hook script lies on storage that each node has for itself, or that the target has not.",
    "It runs before every start, on the target of a live move too, and without the script the start fails. Only users"
    " with Datastore.Allocate can see over the API whether the target has a copy of it.",
    "put the script on shared storage; or copy it to the target, and accept this where the user may not see it",
    "volume of the script",
    enforced=True,
)
CONTAINER_DEVICE = Kind(
    "container-device",
    Severity.WARN,
    "The container uses a device of its node (dev0 and so on).",
    "Proxmox VE moves it without a look; where the target has no such device, the container does not start.",
    "see that the device is there on the target under the same path",
    "key and path",
)
_CONFIDENTIAL = frozenset({"amd-sev", "intel-tdx"})


def passthrough(move: MoveFacts) -> Iterator[Finding]:
    """Devices block every move, mapped ones a live move unless they are capable of it."""
    mapped = move.precondition.mapped
    shares = False
    for key in move.precondition.local_resources:
        name, capable = mapped.get(key, ("", False))
        if capable or (name and not move.live):
            continue
        if key.startswith("clipboard"):
            yield from _clipboard(move)
        elif key.startswith("virtiofs"):
            shares = True
        elif move.managed and not name:
            yield FORCED.found(
                f"{move.guest.label} uses {key} of {move.guest.node}, and the HA manager would move it all the same",
                guest=move.guest.vmid,
                node=move.guest.node,
                key=key,
            )
        elif key in _CONFIDENTIAL:
            yield from _confidential(move, key)
        else:
            what = f"{key} is mapped to {name}" if name else f"{key} is a device of {move.guest.node}"
            yield PASSTHROUGH.found(
                f"{what}, which a {'running' if move.live else 'stopped'} guest cannot take along",
                "stop the guest and move it offline" if name else f"remove {key}, or map the device on both nodes",
                guest=move.guest.vmid,
                node=move.guest.node,
                key=key,
                mapping=name or None,
            )
    if shares and move.live:
        yield VIRTIOFS.found(
            f"{move.guest.label} runs and has directories of {move.guest.node} mounted over virtiofs",
            guest=move.guest.vmid,
            node=move.guest.node,
        )


def _confidential(move: MoveFacts, key: str) -> Iterator[Finding]:
    # The precondition tells it of VMs that run; what is asked may be a move after a shutdown.
    if move.live:
        yield CONFIDENTIAL.found(
            f"{move.guest.label} runs with encrypted memory ({key}), which cannot travel",
            guest=move.guest.vmid,
            node=move.guest.node,
            key=key,
        )


def _clipboard(move: MoveFacts) -> Iterator[Finding]:
    if not move.live:
        return
    process = move.state.process(move.guest.vmid)
    machine = process.machine if process is not None else None
    yield CLIPBOARD.found(
        f"{move.guest.label} runs with the VNC clipboard and {f'machine {machine}' if machine else 'an old machine'},"
        " older than 10.1",
        guest=move.guest.vmid,
        node=move.guest.node,
        machine=machine,
    )


def mappings(move: MoveFacts) -> Iterator[Finding]:
    """A mapped device needs an entry for the target; a mapped directory is another one there."""
    missing = move.precondition.hindrance(move.target.name).resources
    for key in missing:
        yield MAPPING.found(
            f"{key} is mapped, but the mapping has no device on {move.target.name}",
            f"add {move.target.name} to the resource mapping (Datacenter, Resource Mappings)",
            guest=move.guest.vmid,
            node=move.target.name,
            key=key,
        )
    config = move.config
    for device in config.devices if config is not None else ():
        if device.kind != "virtiofs" or device.mapping is None or device.key in missing or move.live:
            continue
        mapping = move.state.mapping("dir", device.mapping)
        paths = {item.node: item.path for item in mapping.devices} if mapping is not None else {}
        yield VIRTIOFS_DATA.found(
            f"{device.key} of {move.guest.label} is directory {device.mapping}, whose files on {move.guest.node} do not"
            f" move along to {move.target.name}",
            guest=move.guest.vmid,
            node=move.target.name,
            key=device.key,
            source=paths.get(move.guest.node),
            target=paths.get(move.target.name),
        )


def unchecked(move: MoveFacts) -> Iterator[Finding]:
    """What Proxmox VE does not look at: arguments for QEMU, devices of containers, hook scripts."""
    config = move.config
    if config is None:
        return
    guest = move.guest
    if config.args:
        yield ARGUMENTS.found(
            f"{guest.label} has arguments for QEMU of its own: {config.args}", guest=guest.vmid, args=config.args
        )
    for device in config.devices:
        if guest.type == "lxc" and device.kind == "dev":
            yield CONTAINER_DEVICE.found(
                f"{device.key} of {guest.label} is {device.value} of {guest.node}, and may not be there on"
                f" {move.target.name}",
                guest=guest.vmid,
                node=move.target.name,
                key=device.key,
                device=device.value,
            )
    if config.hookscript:
        yield from _hookscript(move, config.hookscript)


def _hookscript(move: MoveFacts, script: str) -> Iterator[Finding]:
    storage = move.state.storage(script.partition(":")[0])
    if storage is None:
        return
    status = move.state.storage_on(storage.id, move.target.name)
    if not storage.on(move.target.name):
        why = f"and {move.target.name} does not have {storage.id}"
    elif not storage.shared:
        if move.state.seen_on(move.target.name, script):
            return
        why = f"of which {move.target.name} has its own, and the script was not seen there"
    elif status is not None and not status.active:
        why = f"which is not active on {move.target.name}"
    else:
        return
    yield HOOKSCRIPT.found(
        f"hook script {script} of {move.guest.label} lies on {storage.id}, {why}",
        severity=Severity.BLOCK if move.mode is not Mode.OFFLINE else Severity.WARN,
        guest=move.guest.vmid,
        node=move.target.name,
        storage=storage.id,
        script=script,
    )
