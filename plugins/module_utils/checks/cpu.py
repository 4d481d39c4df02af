# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processors: does the target have what the VM's CPU type needs, and what it has seen so far? (pve-facts §1.3)"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.cpu_models import HOST_ONLY, PASSES_THROUGH, needed
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import CpuType
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import Cpu

VENDOR = Kind(
    "cpu-vendor",
    Severity.BLOCK,
    "The processors of the two nodes are of different vendors, and the VM runs.",
    "Proxmox supports live moves only between processors of one vendor and does not compare them: the VM may hang or"
    " crash minutes after a move that went well. Moved offline it starts as on any new computer.",
    "stop the VM and move it offline",
    "vendors of either node",
)
FLAGS = Kind(
    "cpu-flags",
    Severity.BLOCK,
    "The CPU type of the VM needs what the processor of the target does not have. For a VM that does not run this is a"
    " warning: it moves, but does not start there.",
    "QEMU is started with enforce, so it refuses; a live move fails after its local disks have been prepared.",
    "choose another target, or give the VM a type that every node has and restart it",
    "the CPU type, the flags that are missing",
    enforced=True,
)
HOST = Kind(
    "cpu-host",
    Severity.BLOCK,
    "The running VM has CPU type host or max and has seen features of its node that the target lacks. When nothing is"
    " missing and only the model differs, this is a warning.",
    "Such a VM is moved without a check, and crashes when it uses what is gone.",
    "stop the VM and move it offline, or give it a type that every node has",
    "models of either node, the flags that are missing",
)
CUSTOM = Kind(
    "cpu-custom",
    Severity.WARN,
    "The running VM has a CPU type of the administrator's own, and the two nodes have different processors.",
    "What such a type needs is in cpu-models.conf, which the snapshot does not hold.",
    "see that the target has the flags of the type, or move the VM offline",
    "the CPU type, models of either node",
)


def processor(move: MoveFacts) -> Iterator[Finding]:
    """Containers use what there is."""
    config = move.config
    source, target = move.state.facts(move.guest.node), move.state.facts(move.target.name)
    if config is None or config.cpu is None or not config.kvm or target is None or target.cpu is None:
        return
    here = source.cpu if source is not None else None
    yield from _flags(move, config.cpu, target.cpu)
    if not move.live or here is None:
        return
    if here.vendor and target.cpu.vendor and here.vendor != target.cpu.vendor:
        yield VENDOR.found(
            f"{move.guest.label} runs on {_vendor(here)}, and {move.target.name} has {_vendor(target.cpu)}",
            guest=move.guest.vmid,
            node=move.target.name,
            vendors={move.guest.node: here.vendor, move.target.name: target.cpu.vendor},
        )
    elif config.cpu.type in PASSES_THROUGH:
        yield from _passed_through(move, config.cpu, here, target.cpu)
    elif config.cpu.type.startswith("custom-") and here.model != target.cpu.model:
        yield CUSTOM.found(
            f"{move.guest.label} has CPU type {config.cpu.type}, and {move.target.name} has another processor"
            f" ({target.cpu.model})",
            guest=move.guest.vmid,
            node=move.target.name,
            type=config.cpu.type,
            models={move.guest.node: here.model, move.target.name: target.cpu.model},
        )


def _flags(move: MoveFacts, cpu: CpuType, target: Cpu) -> Iterator[Finding]:
    if cpu.type in PASSES_THROUGH or not target.flags:
        return
    missing = sorted(needed(cpu.type, cpu.flags) - target.flags)
    if missing:
        yield FLAGS.found(
            f"CPU type {cpu.type} of {move.guest.label} needs {_few(missing)}, which {move.target.name}"
            f" ({target.model}) does not have{'' if move.live else ', so it would not start there'}",
            severity=None if move.live else Severity.WARN,
            guest=move.guest.vmid,
            node=move.target.name,
            type=cpu.type,
            missing=missing,
        )


def _passed_through(move: MoveFacts, cpu: CpuType, here: Cpu, there: Cpu) -> Iterator[Finding]:
    lost = sorted(here.flags - there.flags - HOST_ONLY) if there.flags else []
    if not lost and here.model == there.model:
        return
    if lost:
        what = f"{move.target.name} ({there.model}) lacks {_few(lost)} of {move.guest.node} ({here.model})"
    else:
        what = f"{move.target.name} has another processor ({there.model}, not {here.model})"
    yield HOST.found(
        f"{move.guest.label} runs with CPU type {cpu.type}, and {what}",
        severity=None if lost else Severity.WARN,
        guest=move.guest.vmid,
        node=move.target.name,
        models={move.guest.node: here.model, move.target.name: there.model},
        missing=lost,
    )


def _vendor(cpu: Cpu) -> str:
    return {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}.get(cpu.vendor, cpu.vendor)


def _few(flags: list[str]) -> str:
    most = 4
    shown = ", ".join(flags[:most])
    return shown if len(flags) <= most else f"{shown} and {len(flags) - most} more"
