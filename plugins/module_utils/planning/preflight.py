# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is it safe? A move, the drain of a node, or the whole cluster, judged before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Severity
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import judge_scope
from ansible_collections.pve.mobility.plugins.module_utils.checks.pinned import no_target, pinned
from ansible_collections.pve.mobility.plugins.module_utils.checks.scope import Scope
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import ClusterAsk, DrainAsk, MoveAsk, Options
from ansible_collections.pve.mobility.plugins.module_utils.planning.estimate import (
    Estimate,
    Rates,
    estimate_move,
    total,
)
from ansible_collections.pve.mobility.plugins.module_utils.planning.moves import (
    Judged,
    Movers,
    by_preference,
    find_guest,
    find_mode,
    find_node,
    memory_load,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Where a guest would go. ``target`` None: nowhere as it is now."""

    guest: Guest
    target: str | None
    estimate: Estimate = field(default_factory=Estimate)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``title`` says what was judged. ``ok``: nothing blocks that was not accepted."""

    title: str
    findings: tuple[Finding, ...]
    proposals: tuple[Proposal, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)
    accept: frozenset[str] = frozenset()

    @property
    def ok(self) -> bool:
        return not any(self.blocks(item) for item in self.findings)

    def blocks(self, finding: Finding) -> bool:
        return self.counts(finding, frozenset({Severity.BLOCK}))

    def counts(self, finding: Finding, severities: frozenset[Severity]) -> bool:
        """Whether a finding is that bad, and was not accepted."""
        return finding.severity in severities and finding.id not in self.accept

    def with_more(self, findings: Iterable[Finding]) -> Verdict:
        """The same, with what other rules found."""
        return replace(self, findings=_ordered([*self.findings, *findings]))

    @property
    def accepted(self) -> tuple[Finding, ...]:
        return tuple(item for item in self.findings if item.id in self.accept)

    def count(self, severity: Severity) -> int:
        """Of findings that were not accepted."""
        return sum(item.severity is severity and item.id not in self.accept for item in self.findings)


def judge(state: ClusterState, ask: MoveAsk | DrainAsk | ClusterAsk, options: Options | None = None) -> Verdict:
    """:raises Impossible: the guest or node is not there, or the question makes no sense for it."""
    options = options or Options()
    match ask:
        case MoveAsk():
            return _move(state, ask, options)
        case DrainAsk():
            return _drain(state, ask, options)
        case ClusterAsk():
            return _cluster(state, options)


def _move(state: ClusterState, ask: MoveAsk, options: Options) -> Verdict:
    guest, target = find_guest(state, ask.guest), find_node(state, ask.target)
    title = f"Moving {guest.label} from {guest.node} to {target.name}"
    if guest.node == target.name:
        return Verdict(f"{guest.label} is on {target.name} already", (), accept=options.accept)
    movers = Movers(state, options)
    judged = movers.judge(movers.move(guest, target, find_mode(guest, ask.mode)))
    scope = _scope(state, options, {guest.node, target.name}, {guest.vmid})
    estimate = estimate_move(judged.facts, Rates.of(state, options.thresholds))
    return Verdict(
        title,
        _ordered([*judged.findings, *judge_scope(scope)]),
        (Proposal(guest, target.name if not judged.blocking else None, estimate),),
        estimate,
        options.accept,
    )


def _drain(state: ClusterState, ask: DrainAsk, options: Options) -> Verdict:
    """Greedily, the biggest guests first: where each would go while the others go too."""
    node = find_node(state, ask.node)
    targets = [find_node(state, name) for name in ask.targets] if ask.targets is not None else list(state.nodes)
    targets = [target for target in targets if target.name != node.name]
    guests = state.guests_on(node.name)
    findings: list[Finding] = []
    proposals: list[Proposal] = []
    if guests and not any(target.online and not target.maintenance for target in targets):
        findings.append(no_target(node.name, {item.name: _state(item) for item in targets}))
    elif targets:
        for judged in spread(state, node, targets, options):
            findings += judged.findings
            proposals.append(_proposal(judged, Rates.of(state, options.thresholds)))
    names = {node.name, *(item.name for item in targets)}
    findings += judge_scope(_scope(state, options, names, {guest.vmid for guest in guests}))
    return Verdict(
        f"Draining {node.name}: {_count(len(guests), 'guest')}",
        _ordered(findings),
        tuple(proposals),
        total(item.estimate for item in proposals if item.target is not None),
        options.accept,
    )


def spread(state: ClusterState, node: Node, targets: list[Node], options: Options) -> list[Judged]:
    """The best judgement for each guest of ``node``, in the order of their numbers."""
    movers = Movers(state, options)
    load = memory_load(state)
    arriving: dict[str, frozenset[int]] = {}
    found: dict[int, Judged] = {}
    open_nodes = [item for item in targets if item.online and not item.maintenance] or targets
    for guest in sorted(state.guests_on(node.name), key=lambda item: (not item.running, -item.maxmem, item.vmid)):
        best = movers.best(guest, by_preference(state, guest, open_nodes, load), arriving)[0]
        found[guest.vmid] = best
        if not best.blocking:
            name = best.facts.target.name
            arriving[name] = arriving.get(name, frozenset()) | {guest.vmid}
            if guest.running:
                load[name] += guest.maxmem
    return [found[vmid] for vmid in sorted(found)]


def _cluster(state: ClusterState, options: Options) -> Verdict:
    movers = Movers(state, options)
    load = memory_load(state)
    findings: list[Finding] = []
    for guest in state.guests:
        others = [node for node in state.nodes if node.name != guest.node and node.online]
        if not others:
            continue
        judged = movers.best(guest, by_preference(state, guest, others, load))
        if judged[0].blocking:
            findings.append(pinned(guest, {item.facts.target.name: item.blocking for item in judged}))
    findings += judge_scope(_scope(state, options, None, None))
    name = f" {state.name}" if state.name else ""
    return Verdict(
        f"Cluster{name}: {_count(len(state.nodes), 'node')}, {_count(len(state.guests), 'guest')}",
        _ordered(findings),
        accept=options.accept,
    )


def _proposal(judged: Judged, rates: Rates) -> Proposal:
    facts = judged.facts
    if judged.blocking:
        return Proposal(facts.guest, None)
    return Proposal(facts.guest, facts.target.name, estimate_move(facts, rates))


def _scope(state: ClusterState, options: Options, nodes: set[str] | None, guests: set[int] | None) -> Scope:
    return Scope(
        state,
        options.thresholds,
        frozenset(nodes) if nodes is not None else None,
        frozenset(guests) if guests is not None else None,
        options.zfs,
        options.isolated,
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _state(node: Node) -> str:
    return "in maintenance" if node.online and node.maintenance else node.status


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by guest; what several checks say of one guest in the same words is said once."""
    seen: dict[tuple[str, int | None, str], Finding] = {}
    for item in findings:
        seen.setdefault((item.id, item.guest, item.message), item)
    return tuple(
        sorted(
            seen.values(),
            key=lambda item: (
                item.severity.rank, item.guest is None, item.guest or 0, item.node or "", item.storage or "", item.id
            ),
        )
    )  # fmt: skip
