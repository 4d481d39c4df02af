# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a node, what its QEMU can do, and its hardware (API2/APT.pm, Capabilities.pm, Hardware.pm)."""

from __future__ import annotations

from typing import Any

import lab.node_shell  # noqa: F401  # pylint: disable=unused-import  # registers the shell's commands
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.releases import machines
from lab.pve.tasks import Task
from lab.sim.engine import Sim

_NODE = Param("node", format="pve-node")
_AUDIT = needs("/nodes/{node}", "Sys.Audit")
_MODIFY = needs("/nodes/{node}", "Sys.Modify")
_ARCH = opt("arch", enum=("x86_64", "aarch64"), since=(9, 2))
_HARDWARE = needs("/", "Sys.Audit", "Sys.Modify", any_of=True)


# ---------------------------------------------------------------- packages


def _package(name: str, version: str, old: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Package": name, "Title": name, "Version": version, "Arch": "amd64", "Origin": "Proxmox",
        "Priority": "optional", "Section": "admin", "Description": name,
    }  # fmt: skip
    return row if old is None else row | {"OldVersion": old}


@route("GET", "/nodes/{node}/apt", _NODE)
def apt_index(_call: Call) -> list[dict[str, str]]:
    return [{"id": name} for name in ("changelog", "repositories", "update", "versions")]


@route("GET", "/nodes/{node}/apt/versions", _NODE, permission=_AUDIT)
def versions(call: Call) -> list[dict[str, Any]]:
    """What is installed; ``ManagerVersion`` and ``RunningKernel`` are what runs."""
    node = call.node
    rows = []
    for name, version in node.packages.items():
        row = _package(name, version, version) | {"CurrentState": "Installed"}
        if name in node.packages_pending:
            row["Version"] = node.packages_pending[name]
        if name == "pve-manager":
            row["ManagerVersion"] = f"{node.version}/{node.repoid}"
        if name == "proxmox-ve":
            row["RunningKernel"] = node.kernel
        rows.append(row)
    return rows


@route("GET", "/nodes/{node}/apt/update", _NODE, permission=_MODIFY, protected=True)
def updates(call: Call) -> list[dict[str, Any]]:
    node = call.node
    return [_package(name, version, node.packages.get(name)) for name, version in node.packages_pending.items()]


@route("POST", "/nodes/{node}/apt/update", _NODE, opt("notify", "boolean"), opt("quiet", "boolean"),
       permission=_MODIFY, protected=True)  # fmt: skip
def refresh(call: Call) -> str:
    def work(task: Task) -> Sim:
        task.log("starting apt-get update")
        yield call.cluster.engine.sleep(4.0)
        task.log("Reading package lists...")

    task = call.cluster.tasks.fork_worker(call.node, "aptupdate", "", call.identity.authuser, work)
    return task.upid


# ---------------------------------------------------------------- capabilities


_MODELS = {
    "default": ("486", "athlon", "kvm32", "kvm64", "pentium", "pentium2", "pentium3", "qemu32", "qemu64", "max", "host",
                "x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4"),
    "GenuineIntel": ("Conroe", "Penryn", "Nehalem", "Nehalem-IBRS", "Westmere", "Westmere-IBRS", "SandyBridge",
                     "SandyBridge-IBRS", "IvyBridge", "IvyBridge-IBRS", "Haswell", "Haswell-noTSX", "Broadwell",
                     "Broadwell-noTSX", "Skylake-Client", "Skylake-Client-v4", "Skylake-Server", "Skylake-Server-v4",
                     "Cascadelake-Server", "Cascadelake-Server-v4", "Icelake-Server", "Icelake-Server-v4",
                     "SapphireRapids", "SapphireRapids-v2", "GraniteRapids"),
    "AuthenticAMD": ("phenom", "Opteron_G1", "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC",
                     "EPYC-IBPB", "EPYC-v3", "EPYC-Rome", "EPYC-Rome-v2", "EPYC-Milan", "EPYC-Milan-v2", "EPYC-Genoa"),
}  # fmt: skip
_FLAGS = {
    "md-clear": ("md_clear", "Required to let the guest OS know if MDS is mitigated correctly"),
    "pcid": ("pcid", "Meltdown fix cost reduction on Westmere, Sandy-, and IvyBridge Intel CPUs"),
    "spec-ctrl": ("ibrs", "Allows improved Spectre mitigation with Intel CPUs"),
    "ssbd": ("ssbd", "Protection for \"Speculative Store Bypass\" for Intel models"),
    "ibpb": ("ibpb", "Allows improved Spectre mitigation with AMD CPUs"),
    "virt-ssbd": ("virt_ssbd", "Basis for \"Speculative Store Bypass\" protection for AMD models"),
    "amd-ssbd": ("amd_ssbd", "Improves Spectre mitigation performance with AMD CPUs"),
    "amd-no-ssb": ("amd_no_ssb", "Notifies guest OS that host is not vulnerable for Spectre on AMD CPUs"),
    "pdpe1gb": ("pdpe1gb", "Allow guest OS to use 1GB size pages, if host HW supports it"),
    "aes": ("aes", "Activate AES instruction set for HW acceleration."),
}  # fmt: skip


@route("GET", "/nodes/{node}/capabilities", _NODE)
def capabilities(_call: Call) -> list[dict[str, str]]:
    return [{"name": "qemu"}]


@route("GET", "/nodes/{node}/capabilities/qemu", _NODE)
def qemu_capabilities(call: Call) -> list[dict[str, str]]:
    names = ["cpu", "machines"]
    if call.node.release >= (9, 0):
        names.append("migration")
    return [{"name": name} for name in names + (["cpu-flags"] if call.node.release >= (9, 1) else [])]


@route("GET", "/nodes/{node}/capabilities/qemu/machines", _NODE, _ARCH)
def machine_versions(call: Call) -> list[dict[str, Any]]:
    rows = []
    for (major, minor), level in machines(call.node.release):
        for kind in ("i440fx", "q35"):
            version = f"{major}.{minor}" + (f"+pve{level}" if level else "")
            row = {"id": f"pc-{kind}-{version}", "type": kind, "version": version}
            if level:
                row["changes"] = "A change of the virtual machine that keeps older ones as they are."
            rows.append(row)
    return rows


@route("GET", "/nodes/{node}/capabilities/qemu/cpu", _NODE, _ARCH)
def cpu_models(_call: Call) -> list[dict[str, Any]]:
    """Vendors are those of the models, the same on every node (pve-facts §1.3)."""
    return [{"name": name, "vendor": vendor, "custom": 0} for vendor, names in _MODELS.items() for name in names]


@route(
    "GET",
    "/nodes/{node}/capabilities/qemu/cpu-flags",
    _NODE,
    _ARCH,
    opt("accel", enum=("kvm", "tcg"), since=(9, 2)),
    since=(9, 1),
)
def cpu_flags(call: Call) -> list[dict[str, Any]]:
    rows = []
    for name, (flag, text) in _FLAGS.items():
        row: dict[str, Any] = {"name": name, "description": text}
        if call.node.release >= (9, 2):
            row["supported-on"] = [node.name for node in call.cluster.nodes.values() if flag in node.cpu.flags.split()]
        rows.append(row)
    return rows


@route("GET", "/nodes/{node}/capabilities/qemu/migration", _NODE, since=(9, 0))
def migration(_call: Call) -> dict[str, Any]:
    return {"has-dbus-vmstate": 1}


# ---------------------------------------------------------------- hardware


@route("GET", "/nodes/{node}/hardware", _NODE)
def hardware(_call: Call) -> list[dict[str, str]]:
    return [{"type": "pci"}, {"type": "usb"}]


@route("GET", "/nodes/{node}/hardware/pci", _NODE, opt("pci-class-blacklist", format="string-list"),
       opt("verbose", "boolean"), permission=_HARDWARE, protected=True)  # fmt: skip
def pci(call: Call) -> list[dict[str, Any]]:
    default = {"class": "0x020000", "vendor": "0x8086", "device": "0x1572", "iommugroup": 1,
               "vendor_name": "Intel Corporation", "device_name": "Ethernet Controller X710 for 10GbE"}  # fmt: skip
    return [default | row for row in call.node.pci]


@route("GET", "/nodes/{node}/hardware/usb", _NODE, permission=_HARDWARE, protected=True)
def usb(call: Call) -> list[dict[str, Any]]:
    default = {"busnum": 1, "devnum": 2, "port": 1, "level": 1, "class": 0, "speed": "480"}
    return [default | {"devnum": 2 + number} | row for number, row in enumerate(call.node.usb)]
