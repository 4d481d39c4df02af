# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages and volumes."""

from __future__ import annotations

from tests.agreement.draw import GUEST, LOCAL, World


def _used(world: World) -> str:
    return str(world.pick(*(world.storages_of_subject() or ["tank"])))


def not_on_target(world: World) -> str:
    name = _used(world)
    world.cluster["storages"][name]["nodes"] = [node for node in world.names if node != world.target]
    return f"{name} is not on the target"


def disabled(world: World) -> str:
    name = world.pick("local", "media", "tank", "shared", _used(world))
    world.cluster["storages"][name]["disable"] = True
    return f"{name} is disabled"


def not_active(world: World) -> str:
    name = _used(world)
    state = world.pick({"online": False}, {"missing": True})
    world.cluster["storages"][name]["per_node"] = {world.target: state}
    return f"{name} on the target: {state}"


def content(world: World) -> str:
    name = _used(world)
    files = world.cluster["storages"][name]["type"] in ("dir", "btrfs", "nfs")
    world.cluster["storages"][name]["content"] = world.pick("images", "rootdir", "images,rootdir", *["iso"] * files)
    return f"{name} has {world.cluster['storages'][name]['content']}"


def little_space(world: World) -> str:
    state = {"size": world.pick("2G", "5G", "20G")}
    world.cluster["storages"]["tank"]["per_node"] = {world.target: state}
    key = world.free_key("mp" if not world.is_vm else "scsi")
    world.subject[key] = f"tank:{world.pick(1, 8)}G" + ("" if world.is_vm else ",mp=/more")
    return f"tank has {state['size']} on the target"


def thick(world: World) -> str:
    world.cluster["storages"]["tank"]["thin"] = False
    return "volumes take their whole size"


def iso(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["ide2"] = world.pick(
        "local:iso/debian.iso,media=cdrom", "media:iso/debian.iso,media=cdrom", "none,media=cdrom", "cdrom,media=cdrom"
    )
    return f"medium {world.subject['ide2']}"


def cloudinit(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["cloudinit"] = world.pick("tank", "shared")
    return f"cloud-init on {world.subject['cloudinit']}"


def leftover_cloudinit(world: World) -> str | None:
    """The target has a volume of the name that the cloud-init drive has."""
    if not world.is_vm:
        return None
    world.subject["cloudinit"] = "tank"
    return leftover_copy(world)


def efi(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["efidisk"] = world.pick("tank", "shared")
    return f"EFI disk on {world.subject['efidisk']}"


def tpm(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["tpm"] = world.pick("tank", "shared")
    return f"TPM on {world.subject['tpm']}"


def unused(world: World) -> str:
    world.subject["unused0"] = f"{world.pick('tank', 'shared')}:1G"
    return f"unused {world.subject['unused0']}"


def snapshots(world: World) -> str | None:
    kinds = {
        "zfspool", "lvmthin", "btrfs", *(["rbd"] if world.is_vm else []), *(["dir", "nfs"] if world.is_vm else [])
    }  # fmt: skip
    used = {world.cluster["storages"][name]["type"] for name in world.storages_of_subject()}
    if not used <= kinds:
        return None
    world.subject["snapshots"] = {"before": {"age": "3d"}}
    if world.is_vm and world.chance(0.3):
        world.subject["snapshots"]["before"]["ram"] = True
    if world.is_vm:
        for key, value in list(world.subject.items()):
            if (
                isinstance(value, str)
                and value.startswith(("tank:", "shared:"))
                and key[:4] in ("scsi", "virt", "sata")
            ):
                kind = world.cluster["storages"][value.partition(":")[0]]["type"]
                if kind in ("dir", "nfs"):
                    world.subject[key] = f"{value},format=qcow2"
    return "snapshots"


def qcow2(world: World) -> str | None:
    if not world.is_vm:
        return None
    found = [key for key in world.subject if key[:4] in ("scsi", "virt", "sata")]
    for key in found:
        storage = str(world.subject[key]).partition(":")[0]
        if (
            world.cluster["storages"].get(storage, {}).get("type") in ("dir", "nfs")
            and "format" not in world.subject[key]
        ):
            world.subject[key] += ",format=qcow2"
    return "qcow2"


def linked_clone(world: World) -> str | None:
    storage = world.pick("tank", "shared")
    if world.cluster["storages"][storage]["type"] == "lvm" or (not world.is_vm):
        return None
    base = world.neighbour(world.source, disk=f"{storage}:2G", template=True)
    for key in [key for key in world.subject if key == "scsi0"]:
        del world.subject[key]
    world.subject["clone_of"] = base
    return f"linked clone on {storage}"


def template(world: World) -> str | None:
    if "snapshots" in world.subject or "replicate" in world.subject:
        return None
    world.subject["template"] = True
    world.subject.pop("running", None)
    if world.is_vm and world.chance(0.6) and "scsi0" in world.subject:
        storage = world.subject["scsi0"].partition(":")[0]
        if world.cluster["storages"].get(storage, {"type": "lvm"})["type"] != "lvm":
            vmid = world.neighbour(world.source, clone_of=GUEST, running=False)
            del world.cluster["guests"][vmid]["disk"]
            return "template with a linked clone"
    return "template"


def without_local_disks(world: World) -> str:
    world.with_local_disks = False
    return "with_local_disks: false"


def mapped(world: World) -> str:
    """A target storage, which may be a good one or not."""
    kind = world.pick(*LOCAL)
    other = {**LOCAL[kind], "size": "1T"}
    if kind == world.local:
        other |= {"zfspool": {"pool": "pool2"}, "lvmthin": {"vgname": "vg2"}, "lvm": {"vgname": "vg2"}}.get(
            kind, {"path": "/srv/other"}
        )
    world.cluster["storages"]["other"] = other
    trouble = world.pick(None, None, None, "nodes", "content", "inactive", "small")
    match trouble:
        case "nodes":
            other["nodes"] = [world.source]
        case "content":
            other["content"] = world.pick("rootdir", "images", "iso" if kind in ("dir", "btrfs") else "images")
        case "inactive":
            other["per_node"] = {world.target: {"online": False}}
        case "small":
            other["per_node"] = {world.target: {"size": "1G"}}
    world.storage_map = world.pick(
        {"tank": "other"}, {"": "other"}, {"tank": "shared"}, {"": "nowhere"}, {"shared": "other"}
    )
    return f"mapped {world.storage_map} ({kind}, {trouble or 'fine'})"


def physical_disk(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject[world.free_key("scsi")] = world.pick("/dev/sdx", "/dev/sdx,shared=1")
    return "a disk of the node"


def bind_mount(world: World) -> str | None:
    if world.is_vm:
        return None
    world.subject["mp5"] = world.pick("/srv/data,mp=/data", "/srv/data,mp=/data,shared=1", "/dev/sdx,mp=/disk")
    return f"mount point {world.subject['mp5']}"


def shared_directory(world: World) -> str:
    world.cluster["storages"]["odd"] = {
        "type": "dir",
        "path": "/mnt/odd",
        "shared": True,
        "content": "images,rootdir,iso",
    }
    if world.is_vm:
        world.subject[world.free_key("scsi")] = "odd:1G"
    else:
        world.subject["mp7"] = "odd:1G,mp=/odd"
    return "directory that is said to be shared"


def no_replicate_flag(world: World) -> str | None:
    for key, value in world.subject.items():
        if isinstance(value, str) and value.startswith("tank:"):
            world.subject[key] = f"{value},replicate=0"
            return "replicate=0"
    return None


def leftover_copy(world: World) -> str | None:
    """A volume of the same name is on the target already: that of a copy that was broken off."""
    if world.local == "zfspool" and "replicate" in world.subject:
        return None
    world.neighbour(world.target, running=False, disk={"storage": "tank", "size": "1G", "volume": _name(world)})
    return "a volume of that name is on the target"


def _name(world: World) -> str:
    if world.local in ("dir", "btrfs"):
        return (
            f"{GUEST}/vm-{GUEST}-cloudinit.qcow2" if "cloudinit" in world.subject else f"{GUEST}/vm-{GUEST}-disk-0.raw"
        )
    return f"vm-{GUEST}-cloudinit" if "cloudinit" in world.subject else f"vm-{GUEST}-disk-0"


TWISTS = [
    not_on_target, disabled, not_active, not_active, content, little_space, little_space, thick, iso, iso, cloudinit,
    leftover_cloudinit, efi, tpm, unused, snapshots, snapshots, qcow2, linked_clone, template, without_local_disks,
    mapped, mapped, mapped, physical_disk, bind_mount, bind_mount, shared_directory, no_replicate_flag, leftover_copy,
]  # fmt: skip
