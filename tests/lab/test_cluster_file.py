# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cluster files: what they say becomes Proxmox VE's own state, and what is wrong in them is told in one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.cluster_file import ClusterFileError, load
from lab.cluster_file.__main__ import main
from lab.cluster_file.generate import generate
from lab.pve.cluster import Cluster

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/lab.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
SHIPPED = sorted((ROOT / "lab/clusters").glob("*.yml"))


def _config(cluster: Cluster, vmid: int) -> dict[str, str]:
    entry = cluster.guest(vmid)
    assert entry is not None
    return cluster.config(entry).current


def _minimal(**more: Any) -> dict[str, Any]:
    return {"nodes": ["pve1", "pve2", "pve3"], **more}


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_document_loads(text: str) -> None:
    load(text).engine.advance(30)


def test_the_document_names_every_top_level_key() -> None:
    with pytest.raises(ClusterFileError) as raised:
        load(_minimal(zzz_nothing_like_it=1))
    source = (ROOT / "lab/cluster_file").glob("*.py")
    keys = {key for path in source for key in re.findall(r'top\.\w+\("(\w+)"', path.read_text(encoding="utf-8"))}
    assert "guests" in keys
    text = DOCUMENT.read_text(encoding="utf-8")
    assert not [key for key in keys if not re.search(rf"^{key}:", text, re.MULTILINE)]
    assert "unknown key 'zzz_nothing_like_it'" in str(raised.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_clusters_load(path: Path) -> None:
    assert load(path).fs.vmlist


# ---------------------------------------------------------------- what becomes of it


def test_two_lines_make_a_guest_like_the_web_interface() -> None:
    cluster = load(_minimal(guests={100: {"node": "pve1", "disk": "32G"}}))
    config = _config(cluster, 100)
    assert config["scsi0"] == "local-zfs:vm-100-disk-0,size=32G"
    assert config["boot"] == "order=scsi0"
    assert config["memory"] == "2048"
    assert re.fullmatch(r"virtio=BC:24:11:\S\S:\S\S:\S\S,bridge=vmbr0", config["net0"])
    volume = cluster.storages.find("local-zfs:vm-100-disk-0", "pve1")
    assert volume is not None
    assert volume.size == 32 * 2**30
    assert cluster.nodes["pve1"].running[100].machine == "pc-i440fx-11.0+pve0"


def test_an_exact_configuration_stays_as_it_is() -> None:
    text = "memory: 64\nname: exact\nscsi0: local-zfs:vm-100-disk-3,size=1G\n"
    cluster = load(_minimal(guests={100: {"node": "pve1", "config": text}}))
    assert cluster.fs.read("nodes/pve1/qemu-server/100.conf") == text
    assert cluster.storages.find("local-zfs:vm-100-disk-3", "pve1") is not None


@pytest.mark.parametrize(
    ("storage", "type", "expected"),
    [
        ({"type": "zfspool", "pool": "tank"}, "vm", "s1:vm-100-disk-0"),
        ({"type": "zfspool", "pool": "tank"}, "ct", "s1:subvol-100-disk-0"),
        ({"type": "dir", "path": "/srv/s1", "content": "images,rootdir"}, "vm", "s1:100/vm-100-disk-0.qcow2"),
        ({"type": "dir", "path": "/srv/s1", "content": "images,rootdir"}, "ct", "s1:100/vm-100-disk-0.raw"),
        ({"type": "lvmthin", "vgname": "pve", "thinpool": "data"}, "ct", "s1:vm-100-disk-0"),
        ({"type": "rbd", "pool": "vms", "content": "images,rootdir"}, "vm", "s1:vm-100-disk-0"),
        ({"type": "btrfs", "path": "/srv/s1"}, "vm", "s1:100/vm-100-disk-0.raw"),
    ],
)
def test_volumes_are_named_as_the_storage_type_does(storage: dict[str, Any], type: str, expected: str) -> None:
    cluster = load(_minimal(storages={"s1": storage}, guests={100: {"node": "pve1", "type": type, "disk": "s1:8G"}}))
    key = "rootfs" if type == "ct" else "scsi0"
    assert _config(cluster, 100)[key] == f"{expected},size=8G"


def test_linked_clones_hang_on_their_template() -> None:
    guests = {
        101: {"node": "pve2", "clone_of": 900},
        900: {"node": "pve1", "disk": "shared:8G", "template": True},
        901: {"node": "pve1", "disk": "local-zfs:8G", "template": True},
        102: {"node": "pve1", "clone_of": 901},
    }
    cluster = load(_minimal(guests=guests))
    assert _config(cluster, 900)["scsi0"].startswith("shared:900/base-900-disk-0.qcow2,")
    assert _config(cluster, 101)["scsi0"].startswith("shared:900/base-900-disk-0.qcow2/101/vm-101-disk-0.qcow2,")
    assert _config(cluster, 102)["scsi0"].startswith("local-zfs:base-901-disk-0/vm-102-disk-0,")
    base = cluster.storages.find("local-zfs:base-901-disk-0", "pve1")
    assert base is not None
    assert base.has_snapshot("__base__")
    assert 900 not in cluster.nodes["pve1"].running


def test_a_replicated_guest_has_its_copies_on_the_targets() -> None:
    disk = {"storage": "local-zfs", "size": "10G", "used": "4G", "write_rate": "1M"}
    guest = {"node": "pve1", "disk": disk, "replicate": {"pve2": {"last_sync": "10m"}, "pve3": {"last_sync": "never"}}}
    cluster = load(_minimal(guests={100: guest}))
    source = cluster.storages.find("local-zfs:vm-100-disk-0", "pve1")
    copy = cluster.storages.find("local-zfs:vm-100-disk-0", "pve2")
    assert source is not None
    assert copy is not None
    assert [snap.guid for snap in copy.snapshots] == [snap.guid for snap in source.snapshots]
    synced = int(cluster.engine.now) - 600
    assert source.snapshots[0].name == f"__replicate_100-0_{synced}__"
    assert source.dirty == 600 * 10**6
    assert cluster.storages.find("local-zfs:vm-100-disk-0", "pve3") is None
    assert cluster.nodes["pve1"].replication_state["100-0"]["last_sync"] == synced


def test_snapshots_of_several_jobs_stand_in_the_order_of_their_time() -> None:
    replicate = {"pve2": {"last_sync": "5m"}, "pve3": {"last_sync": "20m"}}
    guest = {"node": "pve1", "disk": "local-zfs:10G", "replicate": replicate, "snapshots": {"mine": {"age": "1h"}}}
    cluster = load(_minimal(guests={100: guest}))
    jobs = {}
    for node in cluster.nodes:
        volume = cluster.storages.find("local-zfs:vm-100-disk-0", node)
        assert volume is not None
        jobs[node] = [snapshot.name[:17] for snapshot in volume.snapshots]
    older, newer = "__replicate_100-1", "__replicate_100-0"
    assert jobs == {"pve1": ["mine", older, newer], "pve2": ["mine", older, newer], "pve3": ["mine", older]}


def test_snapshots_are_in_the_configuration_and_on_the_volumes() -> None:
    guest = {"node": "pve1", "disk": "local-zfs:8G", "snapshots": {"one": {"age": "2d"}, "two": {"ram": True}}}
    cluster = load(_minimal(guests={100: guest}))
    entry = cluster.guest(100)
    assert entry is not None
    config = cluster.config(entry)
    assert list(config.snapshots) == ["one", "two"]
    assert config.snapshots["two"]["parent"] == "one"
    assert config.current["parent"] == "two"
    assert config.snapshots["two"]["vmstate"] == "local-zfs:vm-100-state-two"
    volume = cluster.storages.find("local-zfs:vm-100-disk-0", "pve1")
    assert volume is not None
    assert [snap.name for snap in volume.snapshots] == ["one", "two"]


def test_two_storages_in_one_pool_share_its_space() -> None:
    storages = {
        "a1": {"type": "zfspool", "pool": "tank/a", "size": "100G"},
        "b1": {"type": "zfspool", "pool": "tank/b", "size": "100G"},
    }
    guests = {100: {"node": "pve1", "disk": {"storage": "a1", "size": "90G", "used": "60G"}}}
    cluster = load(_minimal(storages=storages, guests=guests))
    other = cluster.storages.backing("b1", "pve1")
    assert other is not None
    assert other.avail == 40 * 2**30


def test_the_same_file_gives_the_same_cluster() -> None:
    one, two = (load(SHIPPED[-1]) for _time in range(2))
    assert dict(one.fs.items()) == dict(two.fs.items())


# ---------------------------------------------------------------- what is wrong

_BASE = "nodes: [pve1, pve2]\nstorages: {tank: {type: zfspool, pool: tank, size: 1T}}\n"
WRONG = {
    "": "cluster file: must be a mapping with 'nodes:' at least",
    "[1, 2]\n": "cluster file: must be a mapping with 'nodes:' at least",
    "nodes: {pve1: {}\n": "is not valid YAML: ",
    "nodes: {}\n": "nodes: at least one node is needed",
    "nodes: {pve1: {relase: 9.2}}\n": "nodes.pve1: unknown key 'relase' (did you mean 'release'?)",
    "nodes: {pve1: {release: 7.4}}\n": "nodes.pve1.release: release 7.4 is too old for the lab (oldest: 8.4)",
    "nodes: {pve1: {cpu: epic-7543}}\n": "nodes.pve1.cpu: no CPU preset 'epic-7543' (did you mean 'epyc-7543'?)",
    "nodes: {pve1: {cpu: {without: [avx513f]}}}\n": "nodes.pve1.cpu.without: the CPU has no flag 'avx513f'",
    "nodes: {pve1: {memory: [1]}}\n": "nodes.pve1.memory: expected a size such as 512M or 32G, got a list",
    "nodes: {pve1: {address: 10.0.0.999}}\n": "nodes.pve1.address: '10.0.0.999' is not an IP address",
    "nodes: {a: {address: 10.0.0.1}, b: {address: 10.0.0.1}}\n": "10.0.0.1 is already the address of node 'a'",
    "nodes: {pve1: {network: {vmbr0: 10.0.0.11}}}\n": "vmbr0.address: '10.0.0.11' lacks the prefix length",
    "nodes: {pve1: {network: {vmbr0: {address: 10.0.0.11/24, ports: eno9}}}}\n": "port 'eno9' is not an interface",
    "nodes: [pve1, pve2]\ngests: {}\n": "cluster file: unknown key 'gests' (did you mean 'guests'?)",
    "nodes: [pve1]\nstart: tomorrow\n": "start: expected a time such as 2026-11-23 06:00:00, got the text 'tomorrow'",
    "nodes: [pve1]\nstorages: {tank: {type: zfs-pool}}\n": "storages.tank.type: there is no storage type 'zfs-pool'",
    "nodes: [pve1]\nstorages: {tank: {type: zfspool}}\n": "storages.tank: 'pool' is missing (a zfspool",
    "nodes: [pve1]\nstorages: {t1: {type: zfspool, pool: t, path: /x}}\n": "a zfspool storage has no option 'path'",
    "nodes: [pve1]\nstorages: {t1: {type: zfspool, pool: t, content: iso}}\n": "zfspool cannot hold 'iso'",
    "nodes: [pve1]\nstorages: {t1: {type: zfspool, pool: t, nodes: pve7}}\n": "t1.nodes: unknown node 'pve7'",
    _BASE + "guests: [1]\n": "guests: expected a mapping (key: value), got a list",
    _BASE + "guests: {100: 5}\n": "guests.100: expected a mapping (key: value), got the number 5",
    _BASE + "guests: {100: {}}\n": "guests.100: node is missing (on which node is the guest?)",
    _BASE + "guests: {99: {node: pve1}}\n": "guests.99: '99' is not a guest ID (100 to 999999999)",
    _BASE + "guests: {100: {node: pve1}, 100: {node: pve2}}\n": "line 3: '100' is given twice",
    _BASE + "guests: {100: {node: pve9}}\n": "guests.100.node: unknown node 'pve9' (known: pve1, pve2)",
    _BASE + "guests: {104: {node: pve1, disks: {scsi0: 'tnak:8G'}}}\n": (
        "guests.104.disks.scsi0: storage 'tnak' is not defined (did you mean 'tank'?)"
    ),
    _BASE + "guests: {100: {node: pve1, disk: 'tank:2T'}}\n": (
        "guests.100.disk: a disk of 2T does not fit on storage 'tank' of node 'pve1' (size 1T, free 1T)"
    ),
    _BASE + "guests: {100: {node: pve1, disk: 'tank:big'}}\n": "guests.100.disk: expected a size such as 512M or 32G",
    _BASE + "guests: {100: {node: pve1, memory: lots}}\n": "guests.100.memory: 'lots' is not an amount of memory",
    _BASE + "guests: {100: {node: pve1, coers: 2}}\n": "guests.100: unknown key 'coers' (did you mean 'cores'?)",
    _BASE + "guests: {100: {node: pve1, type: ct, scsi0: 4G}}\n": "guests.100: containers have no key 'scsi0'",
    _BASE + "guests: {100: {node: pve1, config: {coers: 2}}}\n": "guests.100.config: unknown key 'coers'",
    _BASE + "guests: {100: {node: pve1, clone_of: 900}}\n": "guest 900 is not a template of this file",
    _BASE + "guests: {100: {node: pve1, template: true, running: true}}\n": "guests.100.running: a template cannot run",
    _BASE + "guests: {100: {node: pve1, snapshots: ['1 2']}}\n": "'1 2' is not a snapshot name",
    _BASE + "guests: {100: {node: pve1, ha: maybe}}\n": "guests.100.ha.state: 'maybe' is not one of disabled",
    _BASE + "guests: {100: {node: pve1, ha: {group: fast}}}\n": "there is no HA group 'fast'",
    _BASE + "guests: {100: {node: pve1, replicate: [pve1]}}\n": "guest 100 is itself on node 'pve1'",
    _BASE + "replication: {100-0: {target: pve2}}\n": "replication.100-0: '100-0' is not the ID of a job",
    _BASE + "ha: {rules: {r: {type: node-affinity, resources: 100, nodes: pve1}}}\n": "there is no guest 100",
    _BASE + "datacenter: {migrations: x}\n": "datacenter: unknown key 'migrations' (did you mean 'migration'?)",
    _BASE + "mappings: {usb: {stick: {pve7: '1:2'}}}\n": "mappings.usb.stick.pve7: unknown node 'pve7'",
    _BASE + "backup_jobs: {nightly: {storage: tnak}}\n": "storage 'tnak' is not defined (did you mean 'tank'?)",
    _BASE + "users: {bob: {}}\n": "users.bob: 'bob' is not a user ID such as auditor@pve",
    _BASE + "acl: [{who: root@pam, role: Boss}]\n": "acl[0].role: there is no role 'Boss'",
    _BASE + "vnets: {office: {zone: lan}}\n": "vnets.office.zone: unknown zone 'lan'",
    _BASE + "faults: [{x: 1}]\n": "faults[0]: ",
    _BASE + "foreign_snapshots: [{storage: tank, volume: vm-1-disk-0}]\n": "there is no volume 'vm-1-disk-0'",
}


@pytest.mark.parametrize("text", WRONG, ids=[text.splitlines()[-1] if text else "empty" for text in WRONG])
def test_what_is_wrong_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        load(f"{text}\n")
    message = str(raised.value)
    assert WRONG[text] in message
    assert "\n" not in message


def test_garbage_and_missing_files(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.yml"
    garbage.write_bytes(b"\xff\xfe\x00\x01")
    for path, complaint in ((garbage, "is not text"), (tmp_path / "none.yml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ClusterFileError, match=complaint):
            load(path)


# ---------------------------------------------------------------- generated clusters


@pytest.mark.parametrize(("nodes", "guests", "seed"), [(1, 5, 1), (3, 40, 2), (8, 200, 3)])
def test_generated_clusters_load_and_repeat(nodes: int, guests: int, seed: int) -> None:
    content = generate(nodes, guests, seed)
    assert content == generate(nodes, guests, seed)
    assert content != generate(nodes, guests, seed + 1)
    cluster = load(content)
    assert len(cluster.nodes) == nodes
    assert len(cluster.fs.vmlist) >= guests


def test_the_program_checks_and_generates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--nodes", "2", "--guests", "6", "--seed", "5"]) == 0
    path = tmp_path / "made.yml"
    path.write_text(capsys.readouterr().out)
    assert main(["check", str(path)]) == 0
    assert "2 nodes, 6 guests" in capsys.readouterr().out
    path.write_text("nodes: 5\n")
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == "cluster_file: nodes: expected a mapping (key: value), got the number 5\n"
