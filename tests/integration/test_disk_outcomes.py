# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``move_disk`` and ``drain_storage`` where disks are special: the right outcome, or a clear sentence before it starts.

On a lab in the same process, which refuses what Proxmox VE refuses.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Blocked, MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.execution import drain_storage
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_request import DiskRequest
from ansible_collections.pve.mobility.plugins.module_utils.execution.move_disk import run
from ansible_collections.pve.mobility.plugins.module_utils.planning.storage_drain import DrainOptions
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading

STORAGES: dict[str, Any] = {
    "dir": {"type": "dir", "path": "/srv/dir", "content": "images,rootdir"},
    "nas": {"type": "nfs", "server": "10.0.0.9", "export": "/x", "content": "images,rootdir,iso,backup,vztmpl"},
    "ceph": {"type": "rbd", "pool": "vms", "content": "images,rootdir"},
    "tank": {"type": "zfspool", "pool": "tank", "content": "images,rootdir", "sparse": True},
    "lvm": {"type": "lvm", "vgname": "vg0", "content": "images,rootdir"},
    "thin": {"type": "lvmthin", "vgname": "pve", "thinpool": "data", "content": "images,rootdir", "size": "3G"},
}
DISK = {"storage": "dir", "size": "8G", "used": "2G"}


def start(guests: dict[int, Any], **more: Any) -> Lab:
    whole = {vmid: {"node": "pve1", "name": f"g{vmid}", "memory": "1G", **guest} for vmid, guest in guests.items()}
    lab = Lab.from_dict({"nodes": ["pve1", "pve2"], "storages": STORAGES, "guests": whole, **more})
    lab.advance(15.0)
    return lab


def move(lab: Lab, *disks: str, storage: str = "ceph", guest: int = 100, **more: Any) -> dict[str, Any]:
    keys = () if disks == ("all",) else disks
    return run(LabSession(lab), LabClock(lab), DiskRequest(str(guest), storage, keys, **{"timeout": 0.0, **more}))


def refused(lab: Lab, *disks: str, **more: Any) -> str:
    """The sentence, and that nothing was written."""
    with pytest.raises(MobilityError) as error:
        move(lab, *disks, **more)
    assert not [task for node in lab.cluster.nodes for task in lab.cluster.tasks.of_node(node)]
    return error.value.message


def config(lab: Lab, vmid: int = 100) -> dict[str, str]:
    return lab.cluster.config(lab.cluster.fs.vmlist[vmid]).current


# ---------------------------------------------------------------- what a source leaves


def test_a_source_that_cannot_be_freed_is_told_of_until_it_is_gone() -> None:
    why = "unlink '/srv/dir/images/100/vm-100-disk-0.qcow2' failed: Text file busy"
    fault = {"task": "qmmove", "phase": "cleanup", "effect": {"fail": why}}
    lab = start({100: {"disk": DISK, "running": False}}, faults=[fault])
    first = move(lab, "scsi0", delete=True)
    again = move(lab, "scsi0", delete=True)
    assert (first["changed"], again["changed"]) == (True, False)
    for result in (first, again):
        assert [row["volid"] for row in result["orphans"]] == ["dir:100/vm-100-disk-0.qcow2"]
        assert any("dir:100/vm-100-disk-0.qcow2" in text for text in result["warnings"])
    lab.wait_task(lab.delete("/nodes/pve1/storage/dir/content/dir:100/vm-100-disk-0.qcow2"))
    last = move(lab, "scsi0", delete=True)
    assert (last["changed"], last["orphans"], last["warnings"]) == (False, [], [])


def test_the_source_of_a_container_that_cannot_be_freed_is_kept_as_unused() -> None:
    fault = {"task": "move_volume", "phase": "cleanup", "effect": {"fail": "dataset is busy"}}
    lab = start({100: {"type": "ct", "disk": DISK, "running": False}}, faults=[fault])
    result = move(lab, "rootfs", storage="tank", delete=True)
    assert result["unused"] == [{"key": "unused0", "volid": "dir:100/vm-100-disk-0.raw"}]
    assert result["orphans"] == []


def test_a_replica_is_no_orphan() -> None:
    lab = start(
        {100: {"disk": {"storage": "tank", "size": "4G", "used": "1G"}, "replicate": ["pve2"], "running": False}}
    )
    lab.cluster.fs.rename("nodes/pve1/qemu-server/100.conf", "nodes/pve2/qemu-server/100.conf")
    # On pve1 lies the copy now, and no guest of that number.
    result = drain(lab, "tank", targets=("ceph",), accept=frozenset({"disk-leaves-replication"}), check=True)
    assert [(row["node"], row["what"]) for row in result["stays"] if row["node"] == "pve1"] == [("pve1", "replica")]


# ---------------------------------------------------------------- disks that are special


def test_the_state_of_a_tpm_waits_until_the_vm_is_off() -> None:
    guest = {"disk": DISK, "tpm": "dir", "efidisk": "dir", "machine": "q35"}
    assert "TPM" in refused(start({100: guest}), "all")
    lab = start({100: guest | {"running": False}})
    result = move(lab, "all", delete=True)
    assert {row["disk"] for row in result["moves"]} == {"scsi0", "efidisk0", "tpmstate0"}
    assert all(config(lab)[key].startswith("ceph:") for key in ("scsi0", "efidisk0", "tpmstate0"))
    assert lab.cluster.storages.volumes("dir", "pve1") == []


def test_the_other_disks_of_a_vm_with_tpm_move_while_it_runs() -> None:
    lab = start({100: {"disk": DISK, "tpm": "dir", "efidisk": "dir"}})
    result = move(lab, "scsi0", "efidisk0", storage="tank")
    assert [row["disk"] for row in result["moves"]] == ["scsi0", "efidisk0"]
    assert config(lab)["efidisk0"].startswith("tank:")


OLD = {"machine": "pc-i440fx-9.2+pve1"}


@pytest.mark.parametrize(
    "guest", [{"disk": DISK, "running": OLD}, {"disk": DISK | {"aio": "io_uring"}}], ids=["default", "explicit"]
)
def test_storages_that_hang_with_io_uring(guest: dict[str, Any]) -> None:
    assert "io_uring" in refused(start({100: guest}), "scsi0", storage="lvm")
    assert move(start({100: guest | {"running": False}}), "scsi0", storage="lvm")["changed"]
    assert move(start({100: guest | {"disk": DISK | {"aio": "native"}}}), "scsi0", storage="lvm")["changed"]


def test_the_default_of_a_newer_machine_follows_the_storage() -> None:
    assert move(start({100: {"disk": DISK}}), "scsi0", storage="lvm")["changed"]


def test_media_are_no_disks() -> None:
    guest = {"disk": DISK, "iso": "nas:iso/debian.iso", "running": False}
    assert "CD drive" in refused(start({100: guest}), "ide2")
    assert [row["disk"] for row in move(start({100: guest}), "all")["moves"]] == ["scsi0"]


def test_the_cloud_init_drive_is_made_anew() -> None:
    guest = {"disk": DISK, "cloudinit": "dir"}
    assert "cloud-init" in refused(start({100: guest}), "ide2", delete=True)
    lab = start({100: guest | {"running": False}})
    result = move(lab, "ide2", delete=True)
    assert [row["to"] for row in result["moves"]] == ["ceph:vm-100-cloudinit"]
    assert not move(lab, "ide2", delete=True)["changed"]


def test_clones_keep_their_template() -> None:
    guests = {100: {"disk": DISK, "template": True}, 101: {"clone_of": 100, "running": False}}
    assert "clone" in refused(start(guests), "scsi0", delete=True)
    lab = start(guests)
    assert move(lab, "scsi0", guest=101)["changed"]
    assert config(lab, 101)["scsi0"].startswith("ceph:vm-101-disk-")
    assert move(lab, "scsi0")["moves"][0]["to"] == "ceph:base-100-disk-0"


def test_a_disk_that_is_kept_aside_moves_when_it_is_named() -> None:
    lab = start({100: {"disk": DISK, "unused0": "dir:2G", "running": False}})
    assert [row["disk"] for row in move(lab, "all")["moves"]] == ["scsi0"]
    assert move(lab, "unused0", delete=True)["moves"][0]["to"].startswith("ceph:vm-100-disk-")


# ---------------------------------------------------------------- space and formats


def test_room_is_needed_for_what_is_copied_and_not_for_holes() -> None:
    lab = start({100: {"disk": DISK, "running": False}})
    assert move(lab, "scsi0", storage="thin")["changed"], "2 of 8 GiB are written, and the target is thin"
    full = start({100: {"disk": DISK | {"used": "4G"}, "running": False}})
    assert "thin" in refused(full, "scsi0", storage="thin")


def test_every_setting_of_a_drive_survives() -> None:
    options = {"aio": "native", "backup": 0, "cache": "none", "discard": "on", "iothread": 1, "iops_rd": 500, "ssd": 1}
    lab = start({100: {"disk": DISK | options}})
    result = move(lab, "scsi0", delete=True)
    text = config(lab)["scsi0"]
    assert all(f"{key}={value}" in text.split(",") for key, value in options.items())
    assert result["warnings"] == []


def test_back_and_forth_between_formats() -> None:
    lab = start({100: {"disk": DISK | {"format": "raw"}, "running": False}})
    for wanted in ("qcow2", "raw", "vmdk"):
        assert move(lab, "scsi0", storage="dir", format=wanted, delete=True)["changed"]
        assert not move(lab, "scsi0", storage="dir", format=wanted, delete=True)["changed"]
        assert config(lab)["scsi0"].partition(",")[0].endswith(f".{wanted}")
    with pytest.raises(MobilityError) as error:
        move(lab, "scsi0", storage="ceph", format="qcow2")
    assert "cannot hold qcow2" in error.value.message


def test_nothing_to_do_costs_no_write_that_could_fail() -> None:
    lab = start({100: {"disk": DISK, "lock": "backup", "running": False}})
    session = LabSession(lab)
    request = DiskRequest("100", "dir", (), delete=True, preflight="skip")
    assert not run(session, LabClock(lab), request)["changed"]
    assert session.sent == 2


def test_replication_is_only_left_by_name() -> None:
    guest = {"disk": {"storage": "tank", "size": "4G", "used": "1G"}, "replicate": ["pve2"], "running": False}
    lab = start({100: guest})
    with pytest.raises(Blocked) as error:
        move(lab, "scsi0")
    assert "disk-leaves-replication" in error.value.message
    assert move(lab, "scsi0", accept=frozenset({"disk-leaves-replication"}))["changed"]


# ---------------------------------------------------------------- a whole storage


def drain(lab: Lab, storage: str, check: bool = False, **options: Any) -> dict[str, Any]:
    session = LabSession(lab)
    request = drain_storage.DrainRequest(storage, DrainOptions(**options))
    with reading(session):
        return drain_storage.run(session, LabClock(lab), request, check=check)


def test_a_template_waits_until_the_last_of_its_clones_is_gone() -> None:
    """Also when a place is free, and a clone has another disk to move first."""
    on = {"storage": "nas", "size": "2G", "used": "1G"}
    big = {"storage": "nas", "size": "60G", "used": "50G"}
    clone = {"clone_of": 110, "running": False}
    lab = start({110: {"disk": on, "template": True}, 111: {**clone, "ide0": big}, 112: clone})
    result = drain(lab, "nas", targets=("ceph",))
    assert result["empty"]
    assert [row["vmid"] for row in result["done"]] == [112, 111, 110]


def test_everything_that_a_storage_collects_is_found_and_named() -> None:
    on = {"storage": "nas", "size": "2G", "used": "1G"}
    lab = start(
        {
            100: {"disk": on | {"format": "raw"}, "efidisk": "nas", "tpm": "nas", "cloudinit": "nas", "running": False},
            101: {"disk": on, "tpm": "nas"},
            102: {"disk": on, "snapshots": ["before"], "running": False},
            103: {"disk": "ceph:4G", "unused0": "nas:1G", "iso": "nas:iso/debian.iso", "running": False},
            110: {"disk": on, "template": True},
            111: {"clone_of": 110, "running": False},
            200: {"type": "ct", "node": "pve2", "disk": on, "mp0": "nas:1G", "running": False},
        },
        volumes=[
            {"storage": "nas", "volume": "999/vm-999-disk-0.qcow2", "size": "1G"},
            {"storage": "nas", "volume": "103/vm-103-disk-9.qcow2", "size": "1G"},
            {"storage": "nas", "volume": "vztmpl/debian-13.tar.zst", "size": "200M"},
            {"storage": "nas", "volume": "backup/vzdump-qemu-100-2026_11_22-02_00_00.vma.zst", "size": "1G"},
        ],
    )
    plan = drain(lab, "nas", check=True, targets=("ceph",))
    assert {(row["vmid"], *sorted(row["disks"])) for row in plan["planned"]} >= {
        (100, "efidisk0", "ide2", "scsi0", "tpmstate0"),
        (103, "unused0"),
        (111, "scsi0"),
        (200, "mp0", "rootfs"),
    }
    stays = {row["volid"]: (row["what"], row["why"]) for row in plan["stays"]}
    for volid, words in {
        "nas:101/vm-101-disk-1.raw": "TPM",
        "nas:102/vm-102-disk-0.qcow2": "before",
        "nas:999/vm-999-disk-0.qcow2": "no guest of that number",
        "nas:103/vm-103-disk-9.qcow2": "103",
    }.items():
        assert words in stays[volid][1], (volid, stays[volid])
    assert {row["content"] for row in plan["files"]} == {"iso", "vztmpl", "backup"}
    (image,) = [row for row in plan["files"] if row["content"] == "iso"]
    assert image["used_by"]
    drain(lab, "nas", targets=("ceph",))
    rest = drain(lab, "nas", targets=("ceph",))
    left = {
        row["volid"] for row in lab.get("/nodes/pve1/storage/nas/content") if row["content"] in ("images", "rootdir")
    }
    assert left == {row["volid"] for row in rest["stays"]}
    assert not rest["changed"]
