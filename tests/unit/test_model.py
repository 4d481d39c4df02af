# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of the API as the model's dataclasses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.backup import backup_job
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import DiskKind
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import group_rules, ha_resource, ha_rule
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove, summary
from ansible_collections.pve.mobility.plugins.module_utils.model.mapping import resource_mapping
from ansible_collections.pve.mobility.plugins.module_utils.model.network import interfaces, vnet, zone
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import (
    NodeFacts,
    package_fields,
    status_fields,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.options import cluster_options
from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import size
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import storage, storage_status
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown
from ansible_collections.pve.mobility.plugins.module_utils.model.version import Machine, older

GIB = 2**30


def vm(**row: Any) -> GuestConfig:
    return guest_config(100, "qemu", "pve1", row)


def ct(**row: Any) -> GuestConfig:
    return guest_config(200, "lxc", "pve1", row)


@pytest.mark.parametrize(
    ("key", "value", "kind", "storage_id", "volume_format", "base"),
    [
        ("scsi0", "tank:vm-100-disk-0,size=8G", DiskKind.DISK, "tank", "raw", None),
        ("virtio3", "nas:100/vm-100-disk-0.qcow2,size=8G", DiskKind.DISK, "nas", "qcow2", None),
        ("scsi0", "file=tank:vm-100-disk-0,size=8G", DiskKind.DISK, "tank", "raw", None),
        ("scsi0", "ceph:base-103-disk-0/vm-100-disk-0,size=8G", DiskKind.DISK, "ceph", "raw", "base-103-disk-0"),
        (
            "scsi0",
            "nas:103/base-103-disk-0.qcow2/100/vm-100-disk-0.qcow2",
            DiskKind.DISK,
            "nas",
            "qcow2",
            "base-103-disk-0.qcow2",
        ),
        ("sata1", "/dev/disk/by-id/x,size=8G", DiskKind.DEVICE, None, None, None),
        ("efidisk0", "tank:vm-100-disk-1,efitype=4m,size=1M", DiskKind.EFIDISK, "tank", "raw", None),
        ("tpmstate0", "tank:vm-100-disk-2,size=4M,version=v2.0", DiskKind.TPMSTATE, "tank", "raw", None),
        ("ide0", "tank:vm-100-cloudinit,media=cdrom", DiskKind.CLOUDINIT, "tank", "raw", None),
        ("ide0", "nas:100/vm-100-cloudinit.qcow2,media=cdrom", DiskKind.CLOUDINIT, "nas", "qcow2", None),
        ("ide2", "local:iso/debian-13.iso,media=cdrom,size=700M", DiskKind.CDROM, "local", "iso", None),
        ("ide2", "none,media=cdrom", DiskKind.CDROM, None, None, None),
        ("ide2", "cdrom,media=cdrom", DiskKind.CDROM, None, None, None),
        ("unused0", "tank:vm-100-disk-9", DiskKind.UNUSED, "tank", "raw", None),
    ],
)
def test_volumes_of_a_vm(
    key: str, value: str, kind: DiskKind, storage_id: str | None, volume_format: str | None, base: str | None
) -> None:
    disk = vm(**{key: value}).disk(key)
    assert disk is not None
    assert (disk.kind, disk.storage, disk.format, disk.base) == (kind, storage_id, volume_format, base)


def test_what_a_disk_says_of_itself() -> None:
    disk = vm(scsi1="tank:vm-100-disk-0,backup=0,replicate=0,discard=on,serial=XYZ,size=1536M").disk("scsi1")
    assert disk is not None
    assert (disk.size, disk.backup, disk.replicate, dict(disk.options)) == (
        1536 * 2**20,
        False,
        False,
        {"discard": "on"},
    )
    assert vm(ide2="none,media=cdrom").disks[0].empty


def test_mount_points_of_a_container() -> None:
    config = ct(
        rootfs="tank:subvol-200-disk-0,size=8G",
        mp0="tank:subvol-200-disk-1,mp=/srv,size=10G,backup=1",
        mp1="/mnt/data,mp=/data,shared=1",
        mp10="tank:subvol-200-disk-2,mp=/x",
        unused0="tank:subvol-200-disk-3",
    )
    assert [disk.key for disk in config.disks] == ["mp0", "mp1", "mp10", "rootfs", "unused0"]
    kinds = {disk.key: (disk.kind, disk.backup, disk.shared) for disk in config.disks}
    assert kinds == {
        "rootfs": (DiskKind.ROOTFS, True, False),
        "mp0": (DiskKind.MOUNTPOINT, True, False),
        "mp1": (DiskKind.BIND, False, True),
        "mp10": (DiskKind.MOUNTPOINT, False, False),
        "unused0": (DiskKind.UNUSED, False, False),
    }
    assert config.storages == {"tank"}


def test_processor_and_memory_of_a_vm() -> None:
    config = vm(memory="8192", balloon=4096, cores=4, sockets=2, cpu="x86-64-v2-AES,flags=+aes;-pcid,hidden=1")
    assert (config.memory, config.balloon, config.cpus) == (8 * GIB, 4 * GIB, 8)
    assert config.cpu is not None
    assert (config.cpu.type, config.cpu.flags, config.cpu.added) == ("x86-64-v2-AES", ("+aes", "-pcid"), ("aes",))
    plain = vm(memory="current=2048", vcpus=3, cores=4, balloon=0)
    assert (plain.memory, plain.balloon, plain.cpus) == (2 * GIB, None, 3)
    assert plain.cpu is not None
    assert plain.cpu.type == "kvm64"
    assert plain.kvm
    assert not vm(kvm=0).kvm


def test_what_ties_a_vm_to_its_node() -> None:
    config = vm(
        hostpci0="0000:41:00.0,pcie=1",
        hostpci1="mapping=gpu",
        usb0="host=1234:5678",
        usb1="spice",
        usb2="mapping=dongle,usb3=1",
        serial0="socket",
        serial1="/dev/ttyS0",
        virtiofs0="dirid=data,cache=auto",
        args="-device x",
        hookscript="local:snippets/hook.sh",
        vga="std,clipboard=vnc",
        machine="type=q35,viommu=intel",
        **{"amd-sev": "type=std"},
    )
    assert {device.key: (device.mapping, device.bound) for device in config.devices} == {
        "hostpci0": (None, True),
        "hostpci1": ("gpu", True),
        "usb0": (None, True),
        "usb1": (None, False),
        "usb2": ("dongle", True),
        "serial0": (None, False),
        "serial1": (None, True),
        "virtiofs0": ("data", True),
    }
    assert (config.args, config.hookscript, config.clipboard) == ("-device x", "local:snippets/hook.sh", "vnc")
    assert (config.machine, config.confidential) == ("q35", "amd-sev")


@pytest.mark.parametrize(
    ("config", "model", "mac"),
    [
        (vm(net0="virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20,mtu=1"), "virtio", "BC:24:11:00:00:01"),
        (vm(net0="model=e1000,macaddr=BC:24:11:00:00:01,bridge=vmbr0,tag=20,mtu=1"), "e1000", "BC:24:11:00:00:01"),
        (
            ct(net0="name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,tag=20,mtu=1,type=veth"),
            "veth",
            "BC:24:11:00:00:01",
        ),
    ],
)
def test_network_devices(config: GuestConfig, model: str, mac: str) -> None:
    (nic,) = config.nics
    assert (nic.model, nic.mac, nic.bridge, nic.tag, nic.mtu) == (model, mac, "vmbr0", 20, 1)


def test_numbers_that_make_no_sense_do_not_stop_the_reading() -> None:
    config = vm(memory="much", cores="four", cpulimit="x", net0="virtio,bridge=vmbr0,tag=x")
    assert (config.memory, config.cores, config.cpulimit, config.nics[0].tag) == (512 * 2**20, 1, None, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [("32G", 32 * GIB), ("1.5T", 1536 * GIB), ("512", 512), ("8GiB", 8 * GIB), ("", None), ("x", None)],
)
def test_sizes(text: str, value: int | None) -> None:
    assert size(text) == value


def test_a_storage_and_how_it_is_on_a_node() -> None:
    tank = storage(
        {"storage": "tank", "type": "zfspool", "pool": "tank/vm", "content": "rootdir,images", "nodes": "b,a"}
    )
    assert (tank.where, tank.shared, tank.content, tank.nodes) == ("tank/vm", False, {"images", "rootdir"}, ("a", "b"))
    assert (tank.on("a"), tank.on("c")) == (True, False)
    assert storage({"storage": "n", "type": "nfs", "content": "none", "bwlimit": "move=100"}).bwlimit == {"move": 100.0}
    assert storage({"storage": "n", "type": "nfs", "content": "none"}).content == frozenset()
    assert storage({"storage": "d", "type": "dir", "shared": 1}).shared
    assert not storage({"storage": "d", "type": "dir", "disable": 1}).on("a")
    status = storage_status("a", {"storage": "tank", "enabled": 1, "active": 0, "total": 0})
    assert (status.enabled, status.active) == (True, False)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, ("secure", None, "secure", None)),
        (
            {"migration": {"type": "insecure", "network": "10.0.0.0/24"}},
            ("insecure", "10.0.0.0/24", "insecure", "10.0.0.0/24"),
        ),
        # The whole property falls back to that of migration, not each key of it.
        (
            {"migration": "insecure,network=10.0.0.0/24", "replication": {"type": "secure"}},
            ("insecure", "10.0.0.0/24", "secure", None),
        ),
        ({"migration_unsecure": 1}, ("insecure", None, "insecure", None)),
    ],
)
def test_how_migration_and_replication_go(answer: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    options = cluster_options(answer)
    found = (
        options.migration_type,
        options.migration_network,
        options.replication_type,
        options.replication_network,
    )
    assert found == expected


def test_other_options_of_the_datacenter() -> None:
    options = cluster_options(
        {"max_workers": "3", "bwlimit": "migration=512000", "crs": {"ha": "dynamic", "ha-auto-rebalance": 1}}
    )
    assert (options.max_workers, options.bwlimit, options.crs, options.auto_rebalance) == (
        3,
        {"migration": 512000.0},
        "dynamic",
        True,
    )


def test_rules_and_groups_are_one_thing() -> None:
    rule = ha_rule(
        {"rule": "home", "type": "node-affinity", "resources": "vm:101,vm:100", "nodes": "pve1:2,pve2", "strict": 1}
    )
    assert (rule.sids, rule.nodes, rule.strict, rule.positive) == (
        ("vm:100", "vm:101"),
        {"pve1": 2, "pve2": 0},
        True,
        True,
    )
    apart = ha_rule({"rule": "a", "type": "resource-affinity", "resources": "vm:1,vm:2", "affinity": "negative"})
    assert not apart.positive
    broken = ha_rule({"rule": "b", "type": "node-affinity", "errors": {"nodes": ["no such\nnode"]}})
    assert (broken.errors, broken.active) == (("no such node",), False)
    resources = [ha_resource({"sid": "vm:100", "group": "fast"}), ha_resource({"sid": "200", "type": "ct"})]
    (group,) = group_rules([{"group": "fast", "nodes": "pve1:2,pve2", "restricted": 1}], resources)
    assert (group.sids, group.nodes, group.strict, group.group) == (("vm:100",), {"pve1": 2, "pve2": 0}, True, True)
    assert (resources[1].sid, resources[1].vmid) == ("ct:200", 200)


def test_a_mapping_and_its_nodes() -> None:
    gpu = resource_mapping("pci", {"id": "gpu", "map": ["id=10de:25b6,node=pve1,path=0000:41:00.0"]})
    assert (gpu.on("pve1"), gpu.on("pve2"), gpu.live) == (True, False, False)
    assert gpu.devices[0].path == "0000:41:00.0"


@pytest.mark.parametrize(
    ("job", "covered"),
    [
        ({"all": 1}, True),
        ({"all": 1, "exclude": "101,100"}, False),
        ({"all": 1, "enabled": 0}, False),
        ({"all": 1, "node": "pve2"}, False),
        ({"vmid": "100"}, True),
        ({"vmid": "1000"}, False),
        ({"pool": "web"}, True),
        ({"pool": "db"}, False),
    ],
)
def test_which_guests_a_backup_job_covers(job: dict[str, Any], covered: bool) -> None:
    assert backup_job({"id": "x", **job}).covers(100, "pve1", "web") is covered


def test_settings_of_a_replication_job_alone_say_nothing_of_its_state() -> None:
    assert not replication_job({"id": "100-0", "guest": 100, "target": "pve2"}).seen
    assert replication_job({"id": "100-0", "guest": 100, "target": "pve2", "last_sync": 0}).seen


def test_a_node_from_its_status_and_packages() -> None:
    fields = status_fields(
        {
            "pveversion": "pve-manager/9.2.11/14a22df3",
            "current-kernel": {"release": "7.0.2-1-pve"},
            "memory": {"total": 64 * GIB, "used": 4 * GIB, "available": 59 * GIB},
            "cpuinfo": {"vendor": "GenuineIntel", "model": "X", "flags": "aes avx", "cpus": 8, "mhz": "2000.0"},
        }
    )
    assert (fields["version"], fields["release"], fields["kernel"]) == ("9.2.11", "9.2", "7.0.2-1-pve")
    assert fields["cpu"].flags == {"aes", "avx"}
    # What is installed is OldVersion; Version is what could be.
    rows = [
        {"Package": "qemu-server", "Version": "9.2.7", "OldVersion": "9.2.6"},
        {"Package": "pve-zsync", "Version": "2.3"},
        {"Package": "vim", "Version": "9", "OldVersion": "9"},
    ]
    assert package_fields(rows) == {"packages": {"qemu-server": "9.2.6"}}


def test_bridges_that_a_guest_can_name() -> None:
    found = interfaces(
        [
            {"iface": "vmbr0", "type": "bridge", "cidr": "10.0.0.1/24", "cidr6": "fd00::1/64", "mtu": "9000"},
            {"iface": "eno1", "type": "eth", "method": "dhcp"},
            {
                "iface": "vmbr1",
                "type": "bridge",
                "bridge_vlan_aware": 1,
                "bridge_vids": "2-100 200",
                "method": "manual",
            },
        ]
    )
    bridge = found[1]
    assert [item.dynamic for item in found] == [True, False, False]
    assert found[2].vids == ((2, 100), (200, 200))
    assert [found[2].carries(*pair) for pair in ((1, 1), (50, 60), (90, 110), (200, 200))] == [True, True, False, True]
    assert bridge.carries(2, 4000)
    assert (bridge.bridge, bridge.mtu) == (True, 9000)
    assert (bridge.within("10.0.0.0/24"), bridge.within("fd00::/64")) == (("10.0.0.1/24",), ("fd00::1/64",))
    assert bridge.within("nonsense") == ()
    state = ClusterState(
        node_facts=(NodeFacts("a", interfaces=found), NodeFacts("b", interfaces=found), NodeFacts("c")),
        vnets=(vnet({"vnet": "office", "zone": "lan", "tag": 20}),),
        zones=(zone({"zone": "lan", "type": "vlan", "nodes": "a"}),),
    )
    assert [state.bridges(name) for name in "abc"] == [{"vmbr0", "vmbr1", "office"}, {"vmbr0", "vmbr1"}, None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9.2.6", "9.2.11"),
        ("9.2", "9.10"),
        ("10.1.2-1", "10.1.2-2"),
        ("10.1.2-7", "11.0.0-1"),
        ("9.2~rc1", "9.2"),
        ("9.9", "1:0.1"),
        ("8.4.1", "9.0.0~16"),
    ],
)
def test_which_version_is_older(one: str, other: str) -> None:
    assert [older(*pair) for pair in ((one, other), (other, one), (one, one))] == [True, False, False]


def test_a_zero_more_is_no_newer_version() -> None:
    assert not older("9.2", "9.2.0")
    assert not older("9.2.0", "9.2")


def test_machine_versions() -> None:
    newest = NodeFacts("a", machines=("pc-q35-9.2", "pc-q35-10.0+pve1", "pc-q35-10.0", "pc-i440fx-11.0")).newest_machine
    assert str(newest("q35")) == "pc-q35-10.0+pve1"
    assert str(newest("i440fx")) == "pc-i440fx-11.0"
    assert NodeFacts("a").newest_machine("q35") is None
    assert Machine.parse("q35") is None
    assert Machine.parse("pc-i440fx-10.1+pve0") == Machine(10, 1, 0)


def test_what_recent_moves_have_shown() -> None:
    def move(seconds: int, size: int, pause: int | None = None) -> ObservedMove:
        return ObservedMove("u", 100, "qmigrate", "a", "b", 0, seconds, size, pause)

    seen = summary([move(10, 1000, 50), move(10, 2000, 70), move(10, 90000, 60), move(5, 0)])
    assert (seen.moves, seen.rate, seen.downtime_ms) == (4, 200.0, 60.0)
    assert summary([]).rate is None


def test_what_a_snapshot_knows() -> None:
    state = ClusterState(
        parts=("node_facts", "storages", "guest_configs"),
        unknown=(
            Unknown("node_facts", "off", node="b"),
            Unknown("node_facts.packages", "no right", node="c"),
            Unknown("storages", "no right"),
            Unknown("guest_configs", "moved", vmid=100),
        ),
    )
    assert state.knows("node_facts")
    assert state.knows("node_facts", "a")
    assert not state.knows("node_facts", "b")
    assert not state.knows("node_facts.packages", "b")
    assert state.knows("node_facts", "c")
    assert not state.knows("node_facts.packages", "c")
    assert not state.knows("storages", "a")
    assert state.knows("guest_configs")
    assert not state.knows("ha")
