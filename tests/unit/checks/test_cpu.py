# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processors of either node against the CPU type of a VM."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.checks.cpu_models import MODELS, needed
from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts
from ansible_collections.pve.mobility.plugins.module_utils.model.node_facts import Cpu, NodeFacts

from .fixtures import Fixture, ids, judged
from .made import CT, VM, VM_DISK, move, stopped

V3 = MODELS["x86-64-v3"] | {"aes", "pcid", "est"}
SKYLAKE = Cpu("GenuineIntel", "Xeon Gold 6148", V3 | MODELS["Skylake-Server"] | {"hle", "rtm"})
ICELAKE = Cpu("GenuineIntel", "Xeon Gold 6338", V3 | MODELS["Icelake-Server"] | {"arch_capabilities"})
BROADWELL = Cpu("GenuineIntel", "Xeon E5-2680 v4", V3 | MODELS["Broadwell"] | {"hle", "rtm"})
ROME = Cpu("AuthenticAMD", "EPYC 7302", V3 | MODELS["EPYC-Rome"])


def runs(kind: str | None, source: Cpu | None, target: Cpu | None, guest: Any = VM, **config: Any) -> MoveFacts:
    facts = (NodeFacts("pve1", cpu=source), NodeFacts("pve2", cpu=target))
    lines = {**VM_DISK, **({"cpu": kind} if kind else {}), **config} if guest.type == "qemu" else None
    return move(guest, lines, state={"node_facts": facts})


FIXTURES = [
    Fixture(
        "cpu-vendor", lambda: runs("x86-64-v2-AES", SKYLAKE, ROME), lambda: runs("x86-64-v2-AES", SKYLAKE, ICELAKE)
    ),
    Fixture("cpu-vendor", lambda: runs(None, ROME, ICELAKE), lambda: runs(None, ROME, ICELAKE, stopped(VM))),
    Fixture("cpu-flags", lambda: runs("x86-64-v4", SKYLAKE, BROADWELL), lambda: runs("x86-64-v3", SKYLAKE, BROADWELL)),
    Fixture(
        "cpu-flags", lambda: runs("Haswell", BROADWELL, ICELAKE), lambda: runs("Haswell-noTSX", BROADWELL, ICELAKE)
    ),
    Fixture(
        "cpu-flags",
        lambda: runs("kvm64,flags=+avx512f", SKYLAKE, BROADWELL),
        lambda: runs("x86-64-v4,flags=-avx512f;-avx512bw;-avx512cd;-avx512dq;-avx512vl", SKYLAKE, BROADWELL),
    ),
    Fixture("cpu-host", lambda: runs("host", ICELAKE, SKYLAKE), lambda: runs("host", ICELAKE, ICELAKE)),
    Fixture("cpu-host", lambda: runs("max", SKYLAKE, BROADWELL), lambda: runs("max", SKYLAKE, BROADWELL, stopped(VM))),
    Fixture("cpu-custom", lambda: runs("custom-web", SKYLAKE, ICELAKE), lambda: runs("custom-web", SKYLAKE, SKYLAKE)),
]


def test_a_vendor_is_said_once_and_not_again_for_host() -> None:
    found = ids(runs("host", SKYLAKE, ROME))
    assert "cpu-vendor" in found
    assert "cpu-host" not in found


def test_a_stopped_vm_moves_but_is_said_not_to_start() -> None:
    (finding,) = (item for item in judged(runs("x86-64-v4", SKYLAKE, ROME, stopped(VM))) if item.id == "cpu-flags")
    assert finding.severity is Severity.WARN
    assert finding.message == (
        "CPU type x86-64-v4 of 104 billing-db needs avx512bw, avx512cd, avx512dq, avx512f and 1 more, which pve2"
        " (EPYC 7302) does not have, so it would not start there"
    )


def test_more_features_on_the_target_are_only_a_warning() -> None:
    newer = Cpu("GenuineIntel", "Xeon Gold 6430", ICELAKE.flags | {"amx_tile"})
    (finding,) = (item for item in judged(runs("host", ICELAKE, newer)) if item.id == "cpu-host")
    assert finding.severity is Severity.WARN
    (back,) = (item for item in judged(runs("host", newer, ICELAKE)) if item.id == "cpu-host")
    assert back.severity is Severity.BLOCK
    assert back.evidence["missing"] == ["amx_tile"]


def test_flags_that_guests_never_see_are_not_missed() -> None:
    bare = Cpu(SKYLAKE.vendor, SKYLAKE.model, SKYLAKE.flags - {"est"})
    assert "cpu-host" not in ids(runs("host", SKYLAKE, bare))


@pytest.mark.parametrize(
    "facts",
    [
        runs("x86-64-v4", None, None),
        runs("x86-64-v4", SKYLAKE, Cpu("GenuineIntel", "hidden")),
        runs("x86-64-v4", SKYLAKE, BROADWELL, kvm="0"),
        runs(None, ROME, BROADWELL, CT),
    ],
)
def test_nothing_is_said_without_knowledge_or_need(facts: MoveFacts) -> None:
    assert not {item for item in ids(facts) if item.startswith("cpu-")}


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("Skylake-Client-noTSX-IBRS", "clflushopt", "rtm"),
        ("Skylake-Server-v5", "avx512f", "rtm"),
        ("Skylake-Server-IBRS", "rtm", "vaes"),
        ("EPYC-Rome-v2", "sse4a", "avx512f"),
        ("EPYC-IBPB", "sha_ni", "clwb"),
    ],
)
def test_variants_of_a_model_are_known_by_their_name(name: str, has: str, has_not: str) -> None:
    assert has in needed(name)
    assert has_not not in needed(name)


def test_flags_that_kvm_makes_or_that_have_several_names_are_not_judged() -> None:
    assert needed("kvm64", ("+hv-evmcs", "+spec-ctrl", "+virt-ssbd")) == needed("kvm64")
