# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices, locks, and what else is in a guest's configuration."""

from __future__ import annotations

from tests.agreement.draw import World


def device(world: World) -> str | None:
    if not world.is_vm:
        return None
    key, value = world.pick(
        ("hostpci0", "0000:01:00.0"), ("usb0", "host=1234:5678"), ("usb0", "spice"), ("serial0", "socket"),
        ("serial0", "/dev/ttyS0"), ("parallel0", "/dev/parport0"), ("ivshmem", "size=32"),
    )  # fmt: skip
    world.subject[key] = value
    return f"{key}: {value}"


def mapped_pci(world: World) -> str | None:
    if not world.is_vm:
        return None
    live = world.chance(0.4)
    mapping = {world.source: {"path": "0000:41:00.0", "id": "10de:25b6"}}
    both = world.chance(0.6)
    if both:
        mapping[world.target] = {"path": "0000:42:00.0", "id": "10de:25b6"}
    world.cluster.setdefault("mappings", {})["pci"] = {"gpu": mapping | ({"live-migration-capable": 1} if live else {})}
    world.subject["hostpci1"] = "mapping=gpu"
    return f"mapped PCI device, {'live' if live else 'not live'}, {'both nodes' if both else 'source'}"


def mapped_usb(world: World) -> str | None:
    if not world.is_vm:
        return None
    mapping = dict.fromkeys(world.pick([world.source], [world.source, world.target]), "1234:5678")
    world.cluster.setdefault("mappings", {})["usb"] = {"dongle": mapping}
    world.subject["usb1"] = "mapping=dongle"
    return f"mapped USB device on {len(mapping)} nodes"


def virtiofs(world: World) -> str | None:
    if not world.is_vm:
        return None
    mapping = dict.fromkeys(world.pick([world.source], [world.source, world.target]), "/srv/data")
    world.cluster.setdefault("mappings", {})["dir"] = {"data": mapping}
    world.subject["virtiofs0"] = "dirid=data"
    return f"virtiofs on {len(mapping)} nodes"


def confidential(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["amd-sev"] = "type=std"
    return "amd-sev"


def clipboard(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["vga"] = "std,clipboard=vnc"
    if world.chance(0.5):
        world.subject["running"] = {"machine": "pc-i440fx-9.0+pve0"}
    return "clipboard"


def locked(world: World) -> str:
    world.subject["lock"] = world.pick("backup", "snapshot", "migrate", "suspended", "rollback", "clone")
    if not world.is_vm:
        world.subject["lock"] = world.pick("backup", "snapshot", "migrate", "mounted", "disk")
    return f"lock {world.subject['lock']}"


def arguments(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["args"] = "-device pcie-root-port"
    return "args"


def hookscript(world: World) -> str:
    """A script on local storage may have a copy on the target, for another guest there."""
    script = world.pick("local:snippets/hook.pl", "local:snippets/hook.pl", "media:snippets/hook.pl")
    world.subject["hookscript"] = script
    both = script.startswith("local:") and world.chance(0.5)
    if both:
        world.neighbour(world.target, hookscript=script)
    return f"hookscript {script}{' on both nodes' if both else ''}"


def stopped_first(world: World) -> str | None:
    if not world.running or "ha" in world.subject:
        return None
    world.mode = "offline"
    return "offline"


def pending(world: World) -> str:
    world.subject["pending"] = {"memory": 2048}
    return "pending change"


def container_device(world: World) -> str | None:
    if world.is_vm:
        return None
    world.subject["dev0"] = "/dev/dri/renderD128"
    return "device in a container"


def paused_balloon(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject.update({"memory": "8G", "balloon": 2048, "numa": 1})
    return "ballooning"


def busy_memory(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject.update({"dirty_rate": "200M", "working_set": "1G", "memory": "4G"})
    return "changes its memory quickly"


def replicated(world: World) -> str | None:
    """Jobs to the target, elsewhere, both; fresh, failing, or never run."""
    local = world.cluster["storages"]["tank"]
    if local["type"] != "zfspool" or "template" in world.subject:
        return None
    for key, value in world.subject.items():
        if isinstance(value, str) and value.startswith("shared:") and world.is_vm and key != "unused0":
            world.subject[key] = value.replace("shared:", "tank:")
    others = [name for name in world.names if name != world.source]
    targets = world.pick([world.target], [world.target], others, [world.pick(*others)])
    state = world.pick(
        {}, {}, {"last_sync": "never"}, {"last_sync": "9h"}, {"disable": True}, {"rate": 50}, {"remove_job": "full"},
        {"remove_job": "local"}, {"fail_count": 2, "error": "out of space"},
    )  # fmt: skip
    world.subject["replicate"] = {name: dict(state) for name in targets}
    return f"replicated to {', '.join(targets)} {state or ''}".strip()


def disk_on_its_way(world: World) -> str | None:
    if not world.is_vm:
        return None
    disks = [key for key, value in world.subject.items() if key.startswith(("scsi", "virtio", "sata")) and value]
    world.busy = next((key for key in disks if key[-1].isdigit()), "")
    return f"{world.busy} is on its way to another storage" if world.busy else None


TWISTS = [
    device, device, mapped_pci, mapped_pci, mapped_usb, virtiofs, confidential, clipboard, locked, locked, arguments,
    hookscript, stopped_first, stopped_first, pending, container_device, paused_balloon, busy_memory, replicated,
    replicated, replicated, disk_on_its_way,
]  # fmt: skip
