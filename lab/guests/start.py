# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a guest's process, and what keeps it from starting (qemu-server QemuServer.pm:vm_start_nolock; §1.3, §8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.errors import Die
from lab.guests.drives import drives
from lab.guests.resources import mapping_nodes
from lab.guests.start_network import mtu_too_big, not_attached
from lab.pve.formats import GuestConfig, parse_property_string
from lab.pve.mapping import parse_mappings
from lab.pve.node import Node, Running
from lab.pve.pvestatd import guest_memory, memory_used
from lab.pve.releases import machines, profile
from lab.pve.storage_status import activate

if TYPE_CHECKING:
    from lab.pve.cluster import Cluster
    from lab.pve.pmxcfs import VmEntry

QEMU_EXITED = "start failed: QEMU exited with code 1"
_MACHINE = re.compile(r"-(\d+)\.(\d+)(?:\+pve(\d+))?")
_V2 = frozenset("cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3 pni".split())
_V3 = _V2 | frozenset("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave aes".split())
_V4 = _V3 | frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split())
_SKYLAKE = _V3 | frozenset("clflushopt adx rdseed smap".split())
_TSX = frozenset({"hle", "rtm"})
MODEL_FLAGS: dict[str, frozenset[str]] = {
    "kvm64": frozenset({"pni", "lahf_lm"}),
    "x86-64-v2": _V2, "x86-64-v2-AES": _V2 | {"aes"}, "x86-64-v3": _V3, "x86-64-v4": _V4,
    "SandyBridge": _V2 | {"aes", "avx"}, "IvyBridge": _V2 | {"aes", "avx", "f16c", "rdrand"},
    "Haswell": _V3 | _TSX, "Haswell-noTSX": _V3,
    "Broadwell": _V3 | _TSX | {"adx", "rdseed"}, "Broadwell-noTSX": _V3 | {"adx", "rdseed"},
    "Skylake-Client": _SKYLAKE | _TSX, "Skylake-Server": _SKYLAKE | _V4 | _TSX | {"pku"},
    "Cascadelake-Server": _SKYLAKE | _V4 | _TSX | {"pku", "avx512_vnni"},
    "Icelake-Server": _SKYLAKE | _V4 | {"avx512ifma", "vaes"},
    "SapphireRapids": _SKYLAKE | _V4 | {"vaes", "avx512_bf16", "amx_tile"},
    "EPYC": _V3 | {"sse4a", "sha_ni"}, "EPYC-Rome": _V3 | {"sse4a", "clwb"}, "EPYC-Milan": _V3 | {"sse4a", "vaes"},
    "EPYC-Genoa": _V4 | {"sse4a", "vaes"},
}  # fmt: skip
"""Flags that the host must have for a CPU model; models that are not listed run everywhere."""
_CPUID = {
    "pni": "CPUID[eax=01h].ECX.pni [bit 0]", "ssse3": "CPUID[eax=01h].ECX.ssse3 [bit 9]",
    "cx16": "CPUID[eax=01h].ECX.cx16 [bit 13]", "sse4_1": "CPUID[eax=01h].ECX.sse4.1 [bit 19]",
    "sse4_2": "CPUID[eax=01h].ECX.sse4.2 [bit 20]", "popcnt": "CPUID[eax=01h].ECX.popcnt [bit 23]",
    "aes": "CPUID[eax=01h].ECX.aes [bit 25]", "avx": "CPUID[eax=01h].ECX.avx [bit 28]",
    "f16c": "CPUID[eax=01h].ECX.f16c [bit 29]", "fma": "CPUID[eax=01h].ECX.fma [bit 12]",
    "movbe": "CPUID[eax=01h].ECX.movbe [bit 22]", "bmi1": "CPUID[eax=07h,ecx=00h].EBX.bmi1 [bit 3]",
    "avx2": "CPUID[eax=07h,ecx=00h].EBX.avx2 [bit 5]", "bmi2": "CPUID[eax=07h,ecx=00h].EBX.bmi2 [bit 8]",
    "avx512f": "CPUID[eax=07h,ecx=00h].EBX.avx512f [bit 16]", "lahf_lm": "CPUID[eax=80000001h].ECX.lahf-lm [bit 0]",
    "abm": "CPUID[eax=80000001h].ECX.abm [bit 5]", "sse4a": "CPUID[eax=80000001h].ECX.sse4a [bit 6]",
}  # fmt: skip


class StartFailure(Die):
    """The process does not start. ``lines``: what QEMU and the scripts print before."""

    def __init__(self, text: str, *lines: str) -> None:
        super().__init__(text)
        self.lines = lines


def running_machine(node: Node, config: GuestConfig) -> str:
    """The machine version that a VM gets when ``node`` starts it afresh: ``pc-i440fx-10.1+pve0``."""
    base = profile(node.release)
    model = config.current.get("machine", "").partition(",")[0].removeprefix("type=")
    if re.search(r"-\d", model):
        return model if "+pve" in model else f"{model}+pve0"
    kind = "q35" if "q35" in model else "i440fx"
    return f"pc-{kind}-{base.machine[0]}.{base.machine[1]}+pve{base.machine_level}"


def check_start(cluster: Cluster, node: Node, vmid: int, config: GuestConfig, machine: str) -> None:
    """Everything that may keep a VM from starting on a node, in the order in which it would be met.

    :param machine: the version it is to run as.
    :raises StartFailure: with the lines that precede the error.
    """
    check_hookscript(cluster, node, vmid, config)
    _machine(node, machine)
    _volumes(cluster, node, config)
    _devices(cluster, node, config)
    _network(cluster, node, vmid, config)
    _cpus(node, config)
    _cpu(node, config)
    _memory(cluster, node, vmid, config)


def check_hookscript(cluster: Cluster, node: Node, vmid: int, config: GuestConfig) -> None:
    """It is run before the start, so it must be there (pve-guest-common GuestHelpers.pm:exec_hookscript)."""
    script = config.current.get("hookscript")
    if script and (
        cluster.storages.find(script, node.name) is None
        or not cluster.storages.active(script.partition(":")[0], node.name)
    ):
        raise StartFailure(f"hookscript error for {vmid} on pre-start: script '{script}' does not exist")


def _machine(node: Node, machine: str) -> None:
    match = _MACHINE.search(machine)
    if match is None:
        return
    version, level = (int(match[1]), int(match[2])), int(match[3] or 0)
    known = [item for item in machines(node.release) if item[0] == version]
    upgrade = f"is too old to run machine type '{machine}', please upgrade node '{node.name}'"
    if version > profile(node.release).machine:
        raise StartFailure(f"Installed QEMU version '{node.qemu}' {upgrade}")
    if known and level > max(item[1] for item in known):
        top = max(item[1] for item in known)
        raise StartFailure(
            f"Installed qemu-server (max feature level for {version[0]}.{version[1]} is pve{top}) {upgrade}"
        )


def _volumes(cluster: Cluster, node: Node, config: GuestConfig) -> None:
    storages = cluster.storages
    for drive in drives(config.current):
        if drive.storage is None:
            continue
        activate(cluster, drive.storage, node.name)
        if storages.find(drive.volid, node.name) is None:
            raise StartFailure(f"volume '{drive.volid}' does not exist")


def _devices(cluster: Cluster, node: Node, config: GuestConfig) -> None:
    for key, value in config.current.items():
        kind = re.sub(r"\d+$", "", key)
        if kind not in {"hostpci", "usb", "virtiofs"}:
            continue
        options = parse_property_string(value, "dirid" if kind == "virtiofs" else "host")
        name = options.get("dirid" if kind == "virtiofs" else "mapping")
        if name:
            file = {"usb": "usb", "hostpci": "pci", "virtiofs": "dir"}[kind]
            mapping = cluster.fs.parsed(f"mapping/{file}.cfg", parse_mappings).get(name)
            if node.name not in mapping_nodes(mapping):
                label = {"usb": "USB", "hostpci": "PCI", "virtiofs": "Directory"}[kind]
                raise StartFailure(f"{label} device mapping not found for '{name}'")
        elif kind == "hostpci" and node.pci:
            address = options.get("host", "").removeprefix("0000:")
            if not any(str(row["id"]).removeprefix("0000:").startswith(address) for row in node.pci):
                raise StartFailure(f"no PCI device found for '{options.get('host')}'")


def _network(cluster: Cluster, node: Node, vmid: int, config: GuestConfig) -> None:
    too_big = mtu_too_big(node, config)
    if too_big is not None:
        raise StartFailure(too_big)
    failure = not_attached(cluster, node, config)
    if failure is not None:
        key, why = failure
        script = "/usr/libexec/qemu-server" if node.release >= (9, 0) else "/var/lib/qemu-server"
        tap = f"tap{vmid}i{key.removeprefix('net')}"
        raise StartFailure(
            QEMU_EXITED,
            why,
            f"kvm: -netdev type=tap,id={key},ifname={tap},script={script}/pve-bridge,"
            f"downscript={script}/pve-bridgedown,vhost=on: "
            f"network script {script}/pve-bridge failed with status 512",
        )


def _cpus(node: Node, config: GuestConfig) -> None:
    """qemu-server QemuServer.pm:config_to_command."""
    most = int(config.current.get("sockets", "1")) * int(config.current.get("cores", "1"))
    if most > node.cpu.cpus:
        raise StartFailure(f"MAX {node.cpu.cpus} vcpus allowed per VM on this node")


def _cpu(node: Node, config: GuestConfig) -> None:
    """Models other than ``host`` are started with ``enforce`` (pve-facts §1.3)."""
    options = parse_property_string(config.current.get("cpu", ""), "cputype")
    have = set(node.cpu.flags.split())
    if not have or options.get("cputype") == "host":
        return
    needed = set(MODEL_FLAGS.get(options.get("cputype", "kvm64"), ()))
    for flag in options.get("flags", "").split(";"):
        if flag.startswith("+"):
            needed.add(flag[1:].replace("-", "_"))
        elif flag.startswith("-"):
            needed.discard(flag[1:].replace("-", "_"))
    missing = sorted(needed - have)
    if missing and config.current.get("kvm") != "0":
        lines = [f"kvm: warning: host doesn't support requested feature: "
                 f"{_CPUID.get(flag, f'CPUID[eax=07h,ecx=00h].EBX.{flag} [bit 0]')}" for flag in missing]  # fmt: skip
        raise StartFailure(QEMU_EXITED, *lines, "kvm: Host doesn't support requested features")


def _memory(cluster: Cluster, node: Node, vmid: int, config: GuestConfig) -> None:
    """Memory is taken when it is touched; what no node could ever give fails at once."""
    wanted = guest_memory(config, "qemu")
    taken = 0
    for other in node.running.values():
        entry = cluster.guest(other.vmid)
        if entry is not None and other.vmid != vmid:
            taken += memory_used(cluster, other.vmid, guest_memory(cluster.config(entry), entry.type))
    if wanted > node.memory or memory_used(cluster, vmid, wanted) + taken > node.memory + node.swap:
        raise StartFailure(QEMU_EXITED, "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory")


def launch(cluster: Cluster, node: Node, entry: VmEntry, config: GuestConfig, machine: str = "") -> Running:
    """A process of the guest on a node, in state ``running``."""
    qemu = entry.type == "qemu"
    process = Running(
        entry.vmid, entry.type, node.new_pid(), cluster.engine.now,
        machine=(machine or running_machine(node, config)) if qemu else "", qemu=node.qemu if qemu else "",
    )  # fmt: skip
    node.running[entry.vmid] = process
    return process
