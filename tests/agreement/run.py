# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A case, judged and carried out, and whether the two agree."""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import MoveAsk, Options
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import judge
from tests.agreement import foretold
from tests.agreement.carry import Outcome, carry_out
from tests.agreement.case import Case
from tests.agreement.causes import shows
from tests.agreement.session import snapshot
from tests.conformance.client import Cut, Lab

BEFORE = 15.0
"""Seconds that the cluster has run before it is looked at: more than a round of its daemons."""
BEFORE_WITH_HA = 240.0
"""The HA manager first puts in order what is not where its rules want it."""
NOT_LEFT_THERE = frozenset({"ha-node-affinity"})
"""The HA manager tries to bring the guest back, which may fail again and again."""
BROUGHT_BACK = frozenset({"ha-preferred-node"})
"""Warnings that the HA manager will not leave the guest where it was moved to."""


_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \S+ |(?<=ERROR: )migration aborted \(.*?\): ")
_TELLING = re.compile(r"ERROR|HTTP|error|fail|can't|cannot|could not|\[pve\d\]|not |old")
_VAGUE = re.compile(r"conntrack|migration aborted$|remote command failed|check log")
_NAMES = re.compile(r"pve\d|(?:tank|shared|local|other):\S+|/\S+")


class Word(enum.Enum):
    """How prediction and outcome compare."""

    PASSED = "passed, and it moved"
    BLOCKED = "blocked, and it failed for that reason"
    HARM = "blocked because of the harm it does, which nothing keeps from happening"
    MISS = "MISS: passed, but it failed"
    FALSE_ALARM = "FALSE ALARM: blocked, but it moved"
    WRONG_CAUSE = "WRONG CAUSE: it failed for another reason than those predicted"

    @property
    def bad(self) -> bool:
        return self in (Word.MISS, Word.FALSE_ALARM, Word.WRONG_CAUSE)


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    word: Word
    blocking: tuple[Finding, ...]
    outcome: Outcome
    foretold: bool
    """Proxmox VE's own precondition, asked alone, would have told of the failure."""
    differs: Mapping[str, Any]
    """Where the precondition foreseen from the snapshot is not the one that Proxmox VE gives."""

    @property
    def bad(self) -> bool:
        return self.word.bad or bool(self.differs)

    @property
    def cause(self) -> str:
        """The line that tells why it failed, without times, names of nodes and volumes, to tell failures apart."""
        lines = [_STAMP.sub("", line) for line in self.outcome.text.splitlines()]
        told = [line for line in lines if _TELLING.search(line) and not _VAGUE.search(line)]
        return _NAMES.sub("…", told[0] if told else lines[-1] if lines else "")[:160]

    def text(self) -> str:
        said = [f"  {item.id}: {item.message}" for item in self.blocking] or ["  nothing blocks"]
        log = [f"  | {line}" for line in self.outcome.text.splitlines()[-25:]]
        differs = [f"{name} foreseen {pair[0]}, said {pair[1]}" for name, pair in self.differs.items()]
        word = "\n".join([self.word.value, *(f"PRECONDITION: {text}" for text in differs)])
        return "\n".join([word, self.case.text().rstrip(), "preflight:", *said, "lab:", *log, ""])


def run(case: Case) -> Result:
    lab = Lab.from_dict(case.cluster)
    lab.advance(BEFORE_WITH_HA if "ha" in case.cluster else BEFORE)
    api_node = next(node.name for node in lab.cluster.nodes.values() if node.up and _sees_most(lab, node.name))
    if case.busy:
        _move_a_disk(lab, case, api_node)
    state = snapshot(lab, api_node)
    options = Options(with_local_disks=case.with_local_disks, storage_map=case.storage_map)
    verdict = judge(state, MoveAsk(case.guest, case.target, case.mode), options)
    blocking = tuple(item for item in verdict.findings if verdict.blocks(item))
    brought_back = any(item.id in BROUGHT_BACK for item in verdict.findings)
    said = foretold.ask(lab, state, case.guest, case.target, api_node)
    guest = state.guest(case.guest)
    live = guest is not None and guest.type == "qemu" and guest.running and case.mode != "offline"
    differs = foretold.differences(state, case.guest, said)
    told = foretold.foretells(said, case.target, live, case.with_local_disks)
    if guest is not None and guest.node == case.target:
        # The HA manager has brought it there already.
        return Result(case, Word.PASSED, blocking, Outcome(True, True, "there already"), False, differs)
    outcome = carry_out(lab, case, api_node)
    return Result(case, _compare(blocking, outcome, brought_back), blocking, outcome, told, differs)


def _move_a_disk(lab: Lab, case: Case, api_node: str) -> None:
    """Slowly, so that it is not done when the guest is to move."""
    entry = lab.cluster.guest(case.guest)
    assert entry is not None
    params = {"disk": case.busy, "storage": "common", "bwlimit": 10}
    with contextlib.suppress(Cut):
        # What cannot be moved stays where it is, and then nothing is in the way.
        lab.request("POST", f"/nodes/{entry.node}/qemu/{case.guest}/move_disk", params, node=api_node)
    lab.advance(2.0)


def _sees_most(lab: Lab, name: str) -> bool:
    cluster = lab.cluster
    return cluster.quorate(cluster.nodes[name]) or not any(
        cluster.quorate(node) for node in cluster.nodes.values() if node.up
    )


def _compare(blocking: tuple[Finding, ...], outcome: Outcome, brought_back: bool) -> Word:
    known = kinds()
    # A kind that is not known yet is one that somebody just writes: it has to prove itself.
    enforced = [item for item in blocking if item.id not in known or known[item.id].enforced]
    if not blocking:
        fine = outcome.moved or (brought_back and outcome.arrived)
        return Word.PASSED if fine else Word.MISS
    if not enforced:
        return Word.HARM
    if outcome.moved and not any(item.id in NOT_LEFT_THERE and shows(item.id, outcome.text) for item in enforced):
        return Word.FALSE_ALARM
    # It may as well have failed because of the harm that was foretold.
    return Word.BLOCKED if any(shows(item.id, outcome.text) for item in blocking) else Word.WRONG_CAUSE
