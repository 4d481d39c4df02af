# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes: state, releases, processors, memory, networks, options of the datacenter."""

from __future__ import annotations

from tests.agreement.draw import AMD, INTEL, RELEASES, World


def target_gone(world: World) -> str:
    state = world.pick("offline", "cut-off")
    world.cluster["nodes"][world.target]["state"] = state
    return f"target is {state}"


def source_gone(world: World) -> str | None:
    if len(world.names) < 3:
        return None
    world.cluster["nodes"][world.source]["state"] = "offline"
    return "source is offline"


def another_node_gone(world: World) -> str | None:
    others = [name for name in world.names if name not in (world.source, world.target)]
    if not others:
        return None
    world.cluster["nodes"][others[0]]["state"] = "offline"
    return f"{others[0]} is offline"


def mixed_releases(world: World) -> str:
    # Where there are rules already, every node knows them: groups become rules when the last node does.
    rules = bool(world.cluster.get("ha", {}).get("rules"))
    for name in world.names:
        world.cluster["nodes"][name]["release"] = world.pick(*(RELEASES[1:] if rules else RELEASES))
    return "mixed releases"


def started_on_old_qemu(world: World) -> str | None:
    if not world.is_vm:
        return None
    machine = world.pick("pc-i440fx-8.1+pve0", "pc-i440fx-9.0+pve0", "pc-q35-9.2+pve1", "pc-i440fx-10.1+pve0")
    if world.release(world.source) < (9, 1) and machine == "pc-i440fx-10.1+pve0":
        machine = "pc-i440fx-9.2+pve1"
    world.subject["running"] = {"machine": machine, "started": "60d"}
    return f"runs as {machine}"


def fixed_machine(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.subject["machine"] = world.pick("pc-i440fx-8.1", "pc-q35-9.0", "pc-q35-9.2+pve1", "pc-i440fx-10.0", "q35")
    return f"machine {world.subject['machine']}"


def other_processor(world: World) -> str:
    world.cluster["nodes"][world.target]["cpu"] = world.pick(*INTEL, *AMD)
    return "another processor on the target"


def cpu_type(world: World) -> str | None:
    if not world.is_vm:
        return None
    world.cluster["nodes"][world.source]["cpu"] = world.pick("xeon-gold-6430", "epyc-9354")
    world.cluster["nodes"][world.target]["cpu"] = world.pick(*INTEL, *AMD)
    world.subject["cpu"] = world.pick(
        "host", "kvm64", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4", "Skylake-Server", "Haswell", "EPYC-Rome", "max",
        "kvm64,flags=+aes", "x86-64-v2-AES,flags=+pcid", "kvm64,flags=+avx512f", "Icelake-Server", "qemu64",
    )  # fmt: skip
    return f"cpu {world.subject['cpu']}"


def many_cores(world: World) -> str:
    world.cluster["nodes"][world.target]["cpu"] = world.pick("core-i5-8500", "n100")
    world.cluster["nodes"][world.source]["cpu"] = "xeon-gold-6338"
    world.subject.update({"cores": world.pick(4, 6, 8)} | ({"sockets": world.pick(1, 2)} if world.is_vm else {}))
    return f"{world.subject['cores']} cores"


def little_memory(world: World) -> str:
    world.cluster["nodes"][world.target]["memory"] = world.pick("2G", "4G", "8G")
    world.subject["memory"] = world.pick("4G", "6G", "12G")
    return "little memory on the target"


def busy_target(world: World) -> str:
    world.cluster["nodes"][world.target]["memory"] = "16G"
    for _guest in range(world.pick(1, 2)):
        world.neighbour(world.target, memory=world.pick("4G", "8G", "14G"), memory_used=world.pick("3G", "4G"))
    world.subject["memory"] = world.pick("2G", "4G", "8G", "15G")
    return "others run on the target"


def bridge_missing(world: World) -> str:
    bridge = world.pick("vmbr1", "vmbr7")
    where = world.pick([world.source], [world.source, world.target])
    for number, name in enumerate(world.names, 1):
        network = {"vmbr0": {"address": f"10.0.0.{10 + number}/24", "ports": "eno1"}, "eno1": {"speed": "10Gbit"}}
        if name in where:
            network |= {bridge: {"ports": "eno2"}, "eno2": {"speed": "10Gbit"}}
        world.cluster["nodes"][name]["network"] = network
    world.subject["net"] = world.pick(bridge, ["vmbr0", bridge])
    return f"bridge {bridge} on {len(where)} nodes"


def vnet(world: World) -> str:
    world.cluster["zones"] = {
        "lan": {"type": "vlan", "bridge": "vmbr0", "nodes": world.pick([world.source], world.names)}
    }
    world.cluster["vnets"] = {"office": {"zone": "lan", "tag": 20}}
    world.subject["net"] = "office"
    return "VNet"


def vlans(world: World) -> str:
    """The bridge of the target is like that of the source, or lacks something."""
    bridge = world.pick({"ports": "eno1", "vlan_aware": True}, {"ports": "eno1"}, {}, {"ports": "dummy0"})
    for number, name in enumerate(world.names, 1):
        own = bridge if name == world.target else {"ports": "eno1", "vlan_aware": True}
        world.cluster["nodes"][name]["network"] = {
            "vmbr0": {"address": f"10.0.0.{10 + number}/24", **own}, "eno1": {"speed": "10Gbit"}
        }  # fmt: skip
    world.subject["net"] = world.pick("vmbr0,tag=20", "vmbr0,trunks=20;30", "vmbr0")
    return f"{world.subject['net']}, target's bridge {bridge}"


def jumbo(world: World) -> str:
    small = world.pick(True, False)
    for number, name in enumerate(world.names, 1):
        world.cluster["nodes"][name]["network"] = {
            "vmbr0": {
                "address": f"10.0.0.{10 + number}/24",
                "ports": "eno1",
                "mtu": 1500 if small and name == world.target else 9000,
            },
            "eno1": {"speed": "10Gbit"},
        }
    world.subject["net"] = world.pick("vmbr0,mtu=9000", "vmbr0,mtu=1400", "vmbr0")
    return f"{world.subject['net']}, {'small' if small else 'same'} MTU on the target"


def migration_network(world: World) -> str:
    kind = world.pick("all", "all", "source only", "two on target", "target only")
    for number, name in enumerate(world.names, 1):
        network = {"vmbr0": {"address": f"10.0.0.{10 + number}/24", "ports": "eno1"}, "eno1": {"speed": "10Gbit"}}
        has = kind != "source only" and kind != "target only"
        if has or ((kind == "source only") is (name == world.source) and name in (world.source, world.target)):
            network["eno3"] = {"address": f"10.7.0.{10 + number}/24", "speed": "10Gbit"}
        if kind == "two on target" and name == world.target:
            network["eno4"] = {"address": "10.7.0.99/24", "speed": "10Gbit"}
        world.cluster["nodes"][name]["network"] = network
    world.cluster.setdefault("datacenter", {})["migration"] = {
        "type": world.pick("secure", "insecure"), "network": "10.7.0.0/24"
    }  # fmt: skip
    return f"migration network: {kind}"


def insecure(world: World) -> str:
    world.cluster.setdefault("datacenter", {})["migration"] = {"type": "insecure"}
    return "insecure"


def limited(world: World) -> str:
    world.cluster.setdefault("datacenter", {})["bwlimit"] = {"migration": 102400}
    return "limited bandwidth"


TWISTS = [
    target_gone, source_gone, another_node_gone, mixed_releases, mixed_releases, started_on_old_qemu, fixed_machine,
    other_processor, cpu_type, cpu_type, many_cores, little_memory, busy_target, bridge_missing, vnet, vlans, jumbo,
    migration_network, migration_network, insecure, limited,
]  # fmt: skip
