# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a guest finds no place: the reasons by node, and the one that comes closest in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.planning.room import Ledger

ROOM = frozenset({"no-memory", "no-storage", "memory", "space"})
"""Reasons that are gone when there is room."""
_PASSING = ROOM | {
    "ha-rule", "ha-partner", "ha-partner-stuck", "ha-choice", "ha-busy", "older-release", "target-too-old",
    "version-backwards", "guest-locked", "guest-in-transition", "task-running", "backup-running",
}  # fmt: skip
"""Reasons that may be gone when other guests have moved and other nodes are upgraded."""
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Reason:
    """``id`` of a finding, or of what the planner found itself."""

    id: str
    message: str
    remedy: str = ""


@dataclass(slots=True)
class Why:
    """Reasons by node; the last one of a node counts. ``whole``: one that holds for all of them.

    :ivar near: nodes that hold replicas: what keeps the guest off these is what matters.
    """

    unit: tuple[Guest, ...]
    near: frozenset[str] = frozenset()
    reasons: dict[str, tuple[Reason, ...]] = field(default_factory=dict)
    whole: Reason | None = None

    @property
    def room(self) -> bool:
        """Some node would take the guest if there were room."""
        return any(all(reason.id in ROOM for reason in found) for found in self.reasons.values())

    def crowded(self, node: str) -> bool:
        """There is no room on a node; nothing else is known about it."""
        found = self.reasons.get(node, ())
        return bool(found) and all(reason.id in ROOM for reason in found)

    @property
    def later(self) -> bool:
        return self.whole is None and any(
            all(reason.id in _PASSING for reason in found) for found in self.reasons.values()
        )

    @property
    def ids(self) -> tuple[str, ...]:
        if self.whole is not None:
            return (self.whole.id,)
        return tuple(sorted({reason.id for found in self.reasons.values() for reason in found}))

    @property
    def first(self) -> Reason:
        """Of the node that comes closest: fewest reasons, room rather than rules."""
        if self.whole is not None:
            return self.whole
        if not self.reasons:
            return Reason("no-target", "no other node is online and takes guests", "bring another node back")
        found = min(self.reasons.items(), key=self._closeness)
        return found[1][0]

    def _closeness(self, item: tuple[str, tuple[Reason, ...]]) -> tuple[bool, int, int, str]:
        node, reasons = item
        return (node not in self.near, len(reasons), _rank(reasons[0].id), node)

    def rule(self, node: str) -> None:
        self._add(
            node, "ha-node-affinity", f"an HA rule keeps it off {node}", "change the rule, or choose other targets"
        )

    def older(self, node: str) -> None:
        self._add(
            node,
            "older-release",
            f"{node} runs an older release than {self.unit[0].node}",
            "upgrade another node first: guests go from older to newer releases only",
        )

    def partner(self, node: str, other: int) -> None:
        self._add(
            node,
            "ha-partner",
            f"guest {other}, which must not be beside it, is on {node} (negative resource affinity)",
            "move that guest first, or change the rule",
        )

    def elsewhere(self, node: str, guest: Guest) -> None:
        self._add(
            node,
            "ha-partner",
            f"guest {guest.label}, which has to move along, is on {guest.node}, which is not available",
            "bring that node back, or change the rule",
        )

    def memory(self, node: str, need: int, ledger: Ledger) -> None:
        free = max(0, ledger.limit(node) - ledger.memory.get(node, 0))
        self._add(
            node,
            "no-memory",
            f"{node} has {_gib(free)} GiB of memory to give, and {_gib(need)} GiB are needed",
            "stop guests that can be spared, or add memory",
        )

    def storage(self, node: str, disks: Mapping[str, int], ledger: Ledger) -> None:
        for storage, size in sorted(disks.items()):
            free = ledger.free.get((storage, node), size)
            if free < size:
                self._add(
                    node,
                    "no-storage",
                    f"{storage} has {_gib(max(0, free))} GiB to give on {node}, and {_gib(size)} GiB are needed",
                    "free space there, or replicate the guest to a node first",
                )

    def blocked(self, node: str, findings: Sequence[Finding]) -> None:
        self.reasons[node] = tuple(Reason(item.id, item.message, item.remedy) for item in findings)

    def blind(self, why: str) -> None:
        """The HA manager would choose the target itself."""
        self.whole = Reason(
            "ha-choice",
            f"an HA rule prefers {self.unit[0].node}, so the HA manager chooses where the guest goes, and {why}",
            "switch failback off for the resource while nodes are worked on, or name replicas alone in a strict rule",
        )

    def _add(self, node: str, finding: str, message: str, remedy: str) -> None:
        self.reasons[node] = (Reason(finding, message, remedy),)


def _rank(finding: str) -> int:
    order = ("no-memory", "no-storage", "ha-partner")
    return order.index(finding) if finding in order else len(order) + (finding in ("older-release", "ha-node-affinity"))


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f}".removesuffix(".0")
