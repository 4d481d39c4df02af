# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices, shared directories, scripts: what a guest uses of its node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_move
from ansible_collections.pve.mobility.plugins.module_utils.model.mapping import MappedDevice, ResourceMapping
from ansible_collections.pve.mobility.plugins.module_utils.model.move import Mode
from ansible_collections.pve.mobility.plugins.module_utils.model.running import RunningVm
from ansible_collections.pve.mobility.plugins.module_utils.model.storage import SeenVolume

from .fixtures import Fixture, ids
from .made import CT, CT_DISK, NFS, STORAGES, VM, VM_DISK, managed, move, stopped

BOTH = (MappedDevice("pve1", "10de:25b6", "0000:41:00.0"), MappedDevice("pve2", "10de:25b6", "0000:42:00.0"))
GPU = ResourceMapping("pci", "gpu", BOTH)
SHARE = ResourceMapping("dir", "share", (MappedDevice("pve1", path="/srv/a"), MappedDevice("pve2", path="/srv/b")))


def with_line(key: str, value: str, **more: Any) -> Any:
    return move(config={**VM_DISK, key: value}, **more)


def clipboard(machine: str) -> Any:
    return with_line("vga", "std,clipboard=vnc", state={"running": (RunningVm(104, "pve1", machine),)})


def seen(node: str) -> dict[str, Any]:
    """A node that has a copy of the script."""
    return {"volumes": (SeenVolume(node, "local:snippets/hook.pl"),)}


FIXTURES = [
    Fixture("passthrough", lambda: with_line("hostpci0", "0000:01:00.0"), lambda: with_line("usb0", "spice")),
    Fixture("passthrough", lambda: with_line("serial0", "/dev/ttyS0"), lambda: with_line("serial0", "socket")),
    Fixture("passthrough", lambda: with_line("parallel0", "/dev/parport0"), move),
    Fixture(
        "passthrough",
        lambda: with_line("hostpci0", "mapping=gpu", state={"mappings": (GPU,)}),
        lambda: with_line("hostpci0", "mapping=gpu", state={"mappings": (replace(GPU, live=True),)}),
    ),
    Fixture(
        "passthrough",
        lambda: with_line("usb0", "mapping=key", state={"mappings": (ResourceMapping("usb", "key", BOTH),)}),
        lambda: with_line(
            "usb0", "mapping=key", guest=stopped(VM), state={"mappings": (ResourceMapping("usb", "key", BOTH),)}
        ),
    ),
    Fixture(
        "passthrough-forced",
        lambda: with_line("hostpci0", "0000:01:00.0", state=managed()),
        lambda: with_line("hostpci0", "0000:01:00.0"),
    ),
    Fixture(
        "mapping-missing",
        lambda: with_line("hostpci0", "mapping=gpu", target="pve3", guest=stopped(VM), state={"mappings": (GPU,)}),
        lambda: with_line("hostpci0", "mapping=gpu", guest=stopped(VM), state={"mappings": (GPU,)}),
    ),
    Fixture(
        "virtiofs-live",
        lambda: with_line("virtiofs0", "dirid=share", state={"mappings": (SHARE,)}),
        lambda: with_line("virtiofs0", "dirid=share", guest=stopped(VM), state={"mappings": (SHARE,)}),
    ),
    Fixture(
        "virtiofs-data",
        lambda: with_line("virtiofs0", "dirid=share", guest=stopped(VM), state={"mappings": (SHARE,)}),
        lambda: move(guest=stopped(VM)),
    ),
    Fixture("confidential", lambda: with_line("amd-sev", "type=std"), lambda: with_line(
        "amd-sev", "type=std", mode=Mode.OFFLINE)),
    Fixture("clipboard", lambda: clipboard("pc-i440fx-10.0+pve1"), lambda: clipboard("pc-i440fx-10.1")),
    Fixture("qemu-args", lambda: with_line("args", "-device ivshmem-plain"), move),
    Fixture(
        "hookscript-local",
        lambda: with_line("hookscript", "local:snippets/hook.pl"),
        lambda: with_line("hookscript", "nfs:snippets/hook.pl"),
    ),
    Fixture(
        "hookscript-local",
        lambda: with_line(
            "hookscript", "nfs:snippets/hook.pl", state={"storages": (*STORAGES[:3], replace(NFS, nodes=("pve1",)))}
        ),
        lambda: with_line("hookscript", "nfs:snippets/hook.pl"),
    ),
    Fixture(
        "hookscript-local",
        lambda: with_line("hookscript", "local:snippets/hook.pl", state=seen("pve3")),
        lambda: with_line("hookscript", "local:snippets/hook.pl", state=seen("pve2")),
    ),
    Fixture(
        "container-device",
        lambda: move(CT, {**CT_DISK, "dev0": "/dev/dri/renderD128"}),
        lambda: move(CT),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "severity"), [(Mode.ONLINE, Severity.BLOCK), (Mode.OFFLINE, Severity.WARN)], ids=lambda item: item.name
)
def test_a_missing_hook_script_only_stops_what_is_started(mode: Mode, severity: Severity) -> None:
    found = with_line("hookscript", "local:snippets/hook.pl", mode=mode)
    assert [item.severity for item in judge_move(found) if item.id == "hookscript-local"] == [severity]


def test_a_share_is_told_once_however_many_directories() -> None:
    config = {**VM_DISK, "virtiofs0": "dirid=share", "virtiofs1": "dirid=share"}
    facts = move(config=config, state={"mappings": (SHARE,)})
    assert [item.id for item in judge_move(facts)].count("virtiofs-live") == 1
    assert "passthrough" not in ids(facts)


def test_where_the_files_of_a_share_are_is_evidence() -> None:
    facts = with_line("virtiofs0", "dirid=share", guest=stopped(VM), state={"mappings": (SHARE,)})
    (finding,) = (item for item in judge_move(facts) if item.id == "virtiofs-data")
    assert finding.evidence == {"key": "virtiofs0", "source": "/srv/a", "target": "/srv/b"}
