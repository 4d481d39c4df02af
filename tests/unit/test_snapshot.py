# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot as JSON and back, damaged, from other releases, and under other names."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model.anonymize import REMOVED, anonymize
from ansible_collections.pve.mobility.plugins.module_utils.model.backup import backup_job
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import guest_config
from ansible_collections.pve.mobility.plugins.module_utils.model.ha import ha_status
from ansible_collections.pve.mobility.plugins.module_utils.model.ha_config import ha_resource, ha_rule
from ansible_collections.pve.mobility.plugins.module_utils.model.history import ObservedMove
from ansible_collections.pve.mobility.plugins.module_utils.model.mapping import resource_mapping
from ansible_collections.pve.mobility.plugins.module_utils.model.network import interfaces, vnet, zone
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import NodeFacts, status_fields
from ansible_collections.pve.mobility.plugins.module_utils.model.options import cluster_options
from ansible_collections.pve.mobility.plugins.module_utils.model.replication import replication_job
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningTask, RunningVm
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import (
    SnapshotError,
    from_json,
    from_plain,
    to_json,
    to_plain,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.state import PARTS, ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume, storage, storage_status
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import Unknown

SECRET = re.compile("acme", re.IGNORECASE)
UPID = "UPID:acme-n1:000003FD:05265C00:6B013360:qmigrate:100:acmeadmin@pam:"
ERROR = "command 'ssh root@192.0.2.11 -o HostKeyAlias=acme-n2' failed: acme-n2.acme.example /srv/acme/x acmetank: no"


def state() -> ClusterState:
    """Every field filled, every name with the same secret in it."""
    config = {
        "name": "acme-db",
        "memory": "2048",
        "cpu": "custom-acmecpu,flags=+aes",
        "scsi0": "acmetank:base-103-disk-0/vm-100-disk-0,size=8G,serial=ACME",
        "ide2": "acmetank:iso/acme-setup.iso,media=cdrom",
        "sata0": "/dev/disk/by-id/acme-disk",
        "unused0": "acmetank:vm-100-state-acmesnap",
        "hookscript": "acmetank:snippets/acme.sh",
        "args": "-device acme",
        "parent": "acmesnap",
        "net0": "virtio=BC:24:11:00:00:01,bridge=acmenet,tag=20",
        "net1": "virtio=BC:24:11:00:00:02,bridge=vmbr0",
        "hostpci0": "mapping=acmegpu",
        "serial0": "/dev/serial/by-id/acme",
        "virtiofs0": "dirid=acmedir",
    }
    manager = {
        "manager_status": {
            "master_node": "acme-n1",
            "node_status": {"acme-n1": "online", "acme-n2": "online"},
            "service_status": {"vm:100": {"state": "migrate", "node": "acme-n1", "target": "acme-n2"}},
        },
        "lrm_status": {
            "acme-n1": {"timestamp": 5, "results": {"u": {"sid": "vm:100", "state": "started", "exit_code": 0}}}
        },
    }
    network = [{"iface": "vmbr0", "type": "bridge", "cidr": "192.0.2.11/24"}, {"iface": "acmenet", "type": "bridge"}]
    job = {"id": "100-0", "guest": 100, "source": "acme-n1", "target": "acme-n2", "last_sync": 1, "error": ERROR}
    return ClusterState(
        parts=tuple(PARTS),
        name="acme",
        quorate=True,
        version="9.2.11",
        collected_at=1795413600,
        local="acme-n1",
        nodes=(Node("acme-n1", "online"), Node("acme-n2", "online")),
        guests=(Guest(100, "qemu", "acme-n1", "acme-db", "running", tags=("acme-tag",), pool="acmepool"),),
        node_facts=(
            NodeFacts(
                "acme-n1",
                address="192.0.2.11",
                interfaces=interfaces(network),
                **status_fields({"cpuinfo": {"vendor": "GenuineIntel", "model": "X", "flags": "aes avx"}}),
            ),
            NodeFacts("acme-n2", address="192.0.2.12", interfaces=None),
        ),
        guest_configs=(guest_config(100, "qemu", "acme-n1", config),),
        running=(RunningVm(100, "acme-n1", "pc-i440fx-10.1+pve0", "10.1.2", "running"),),
        storages=(
            storage({"storage": "acmetank", "type": "zfspool", "pool": "rpool/acme", "nodes": "acme-n1,acme-n2"}),
            storage({"storage": "acmenas", "type": "nfs", "export": "/export/acme", "server": "nas.acme.example"}),
        ),
        storage_status=(storage_status("acme-n1", {"storage": "acmetank", "active": 1}),),
        volumes=(SeenVolume("acme-n2", "acmetank:snippets/acme.pl"),),
        replication_jobs=(replication_job(job | {"comment": "for acme"}),),
        ha=ha_status(manager),
        ha_resources=(ha_resource({"sid": "vm:100", "group": "acmegroup"}),),
        ha_rules=(
            ha_rule(
                {
                    "rule": "acmerule",
                    "type": "node-affinity",
                    "resources": "vm:100",
                    "nodes": "acme-n1:2,acme-n2",
                    "errors": {"nodes": ["acme-n2 is gone"]},
                }
            ),
        ),
        options=cluster_options({"migration": {"type": "secure", "network": "192.0.2.0/24"}}),
        mappings=(
            resource_mapping("pci", {"id": "acmegpu", "map": ["node=acme-n1,path=0000:41:00.0"]}),
            resource_mapping("dir", {"id": "acmedir", "map": ["node=acme-n1,path=/srv/acme"]}),
        ),
        backup_jobs=(backup_job({"id": "acmejob", "storage": "acmenas", "pool": "acmepool"}),),
        vnets=(vnet({"vnet": "acmevnet", "zone": "acmezone"}),),
        zones=(zone({"zone": "acmezone", "type": "vlan", "nodes": "acme-n1", "bridge": "acmenet"}),),
        tasks=(RunningTask(UPID, "acme-n1", "qmigrate", "100", "acmeadmin@pam", 1),),
        history=(ObservedMove(UPID, 100, "qmigrate", "acme-n1", "acme-n2", 1, 2),),
        unknown=(Unknown("storages", f"Proxmox VE said: {ERROR}", node="acme-n2", path="/nodes/acme-n2"),),
    )


def test_the_stage_is_set_in_every_field() -> None:
    """What is left out above would be left out of the tests below."""
    for field in dataclasses.fields(ClusterState):
        assert getattr(state(), field.name), field.name


def test_there_and_back() -> None:
    assert from_json(to_json(state())) == state()


def test_a_registered_result_is_a_snapshot() -> None:
    result = json.loads(json.dumps({"changed": False, "failed": False, **to_plain(state())}))
    assert from_plain(result) == state()


def test_only_what_was_asked_for_is_there() -> None:
    plain = to_plain(dataclasses.replace(state(), parts=("guests",)))
    assert set(plain) == {"schema", "parts", "unknown", "guests"}
    assert plain["guests"][0]["label"] == "100 acme-db"
    assert from_plain(plain).nodes == ()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_one_sentence(share: float) -> None:
    text = to_json(state())
    with pytest.raises(SnapshotError, match=r"no valid JSON .* cut off\. Collect it again"):
        from_json(text[: int(len(text) * share)])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "no snapshot of cluster_info"),
        ({"ansible_facts": {}}, "it has no schema"),
        ({"schema": "1"}, "its schema is '1', not a number"),
        ({"schema": True}, "not a number"),
        ({"schema": 2}, "has schema 2, and this release reads schemas up to 1"),
        ({"schema": 1, "guests": {}}, "damaged: guests is {}, not a list"),
        ({"schema": 1, "guests": [{"vmid": 1, "type": "qemu"}]}, r"damaged: guests\[0\]\.node is missing"),
        (
            {"schema": 1, "guests": [{"vmid": "1", "type": "qemu", "node": "a"}]},
            r"guests\[0\]\.vmid is '1', not a whole number",
        ),
        ({"schema": 1, "options": 5}, "options is 5, not a mapping"),
        (
            {"schema": 1, "mappings": [{"kind": "pci", "name": "x", "devices": [{"node": 5}]}]},
            r"mappings\[0\]\.devices\[0\]\.node is 5, not text",
        ),
    ],
)
def test_what_is_no_snapshot_is_one_sentence(value: Any, words: str) -> None:
    with pytest.raises(SnapshotError, match=words) as caught:
        from_plain(value)
    assert "\n" not in str(caught.value)


def test_a_field_of_a_later_release_does_no_harm() -> None:
    plain = to_plain(state()) | {"weather": "fine"}
    plain["guests"][0]["mood"] = "good"
    assert from_plain(plain) == state()


# ---------------------------------------------------------------- under other names


def strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for key, item in value.items() for text in [str(key), *strings(item)]]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_no_name_is_left() -> None:
    text = to_json(anonymize(state()))
    assert SECRET.search(text) is None, SECRET.findall(text)
    assert "192.0.2." not in text
    assert "BC:24:11:00" not in text


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("cannot receive: dataset 'acmetank/acme-data/vm-100-disk-0' is busy", "/(removed)/vm-100-disk-0' is busy"),
        ("cannot open 'rpool/acme/vm-100-disk-0@before-acme': dataset does not exist", "rpool/dir"),
        ("snapshot 'acmesnap' needed by replication job '100-0'", "replication job '100-0'"),
        ("snapshot '__replicate_100-0_1795413600__' missing", "'__replicate_100-0_1795413600__' missing"),
        ("Permission check failed for user 'acmeadmin@pam!acmetoken'", "for user 'user1'"),
        ("mail to ops@acme-mail.example failed", "failed"),
        ("ssh: connect to host backup.acme.example port 22: Connection refused", "host (removed) port 22"),
        ("ssh: connect to host acmebackup port 22: No route to host", "No route to host"),
        ("failed to get address info for: acme-n9: Name or service not known", "(removed): Name or service not known"),
        ("storage 'acmeold' does not exist", "storage '(removed)' does not exist"),
        ("error fetching https://pbs.acme.example:8007/api2/json/acme", ":8007/"),
        ("can't open '/etc/pve/nodes/acme-n1/qemu-server/100.conf': no", "/etc/pve/nodes/node1/qemu-server/100.conf"),
        ("volume 'acmetank:100/vm-100-disk-0.qcow2' does not exist", ":100/vm-100-disk-0.qcow2'"),
        ("rule 'acmerule' conflicts with 'acmerule-2'", "conflicts with '(removed)'"),
        ("Permission check failed (/vms/100, VM.Config.Disk)", "(/vms/100, VM.Config.Disk)"),
    ],
)
def test_what_programs_say_names_nothing_that_no_field_names(said: str, kept: str) -> None:
    hidden = anonymize(dataclasses.replace(state(), unknown=(Unknown("storages", said),))).unknown[0].why
    assert SECRET.search(hidden) is None
    assert kept in hidden


def test_what_a_task_is_about_is_no_name_either() -> None:
    """Guests keep their numbers; pools, volumes and files do not keep their names."""
    subjects = ("100", "100-scsi0>101-scsi1", "100@acmetank", "acmedisk", "acmetank:vm-100-disk-0")
    upids = [UPID.replace(":100:", f":{item}:".replace(":vm", "\\x3avm")) for item in subjects]
    tasks = tuple(
        RunningTask(upid, "acme-n1", "imgdel", item, "root@pam", 1) for upid, item in zip(upids, subjects, strict=True)
    )
    hidden = anonymize(dataclasses.replace(state(), tasks=tasks)).tasks
    assert [item.id for item in hidden[:2]] == list(subjects[:2])
    assert [item for item in hidden if SECRET.search(item.id) or SECRET.search(item.upid)] == []


def test_the_same_name_is_the_same_everywhere() -> None:
    hidden = anonymize(state())
    node = hidden.nodes[0].name
    other = hidden.nodes[1].name
    assert node != other
    assert hidden.local == node == hidden.node_facts[0].name == hidden.guests[0].node == hidden.tasks[0].node
    assert hidden.tasks[0].upid.split(":")[1] == node
    assert hidden.ha is not None
    assert (hidden.ha.master, set(hidden.ha.nodes)) == (node, {node, other})
    assert hidden.ha_rules[0].nodes == {node: 2, other: 0}
    assert hidden.replication_jobs[0].error is not None
    assert other in hidden.replication_jobs[0].error
    disk = hidden.guest_configs[0].disk("scsi0")
    assert disk is not None
    assert disk.storage == hidden.storages[0].id
    assert disk.volid == f"{disk.storage}:base-103-disk-0/vm-100-disk-0"
    device = next(item for item in hidden.guest_configs[0].devices if item.key == "hostpci0")
    assert device.mapping == hidden.mappings[0].name
    assert device.value == f"mapping={device.mapping}"


def test_what_is_no_name_stays() -> None:
    hidden = anonymize(state())
    before, after = state().guest_configs[0], hidden.guest_configs[0]
    assert (after.vmid, after.memory, after.nics[1].bridge) == (100, before.memory, "vmbr0")
    assert hidden.running == (dataclasses.replace(state().running[0], node=hidden.nodes[0].name),)
    assert hidden.mappings[0].devices[0].path == "0000:41:00.0"
    assert (hidden.version, hidden.parts) == ("9.2.11", tuple(PARTS))
    assert after.args == REMOVED


def test_networks_still_hold_their_addresses() -> None:
    hidden = anonymize(state())
    assert hidden.options is not None
    assert hidden.options.migration_network is not None
    network = ipaddress.ip_network(hidden.options.migration_network)
    addresses = [ipaddress.ip_address(facts.address) for facts in hidden.node_facts if facts.address]
    assert len(set(addresses)) == 2
    assert all(address in network for address in addresses)
    assert hidden.node_facts[0].interfaces is not None
    assert any(item.within(str(network)) for item in hidden.node_facts[0].interfaces)


def test_it_is_the_same_each_time_and_can_be_read_back() -> None:
    hidden = anonymize(state())
    assert anonymize(state()) == hidden
    assert from_json(to_json(hidden)) == hidden


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_addresses_share_a_prefix_afterwards_as_before(one: Any, other: Any, length: int) -> None:
    facts = tuple(NodeFacts(str(number), address=str(address)) for number, address in enumerate((one, other)))
    hidden = anonymize(ClusterState(node_facts=facts))
    after = [int(ipaddress.IPv4Address(item.address or "")) for item in hidden.node_facts]
    shift = 32 - length
    assert (int(one) >> shift == int(other) >> shift) == (after[0] >> shift == after[1] >> shift)


@given(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True), min_size=1, max_size=6, unique=True))
def test_different_nodes_stay_different(names: list[str]) -> None:
    hidden = anonymize(ClusterState(nodes=tuple(Node(name) for name in names)))
    assert len({node.name for node in hidden.nodes}) == len(names)
