# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Partners: resources that an HA rule keeps together with a guest come along, if they can (pve-facts §1.4, §7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ansible_collections.pve.mobility.plugins.module_utils.checks.finding import Finding, Kind, Severity
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest
from ansible_collections.pve.mobility.plugins.module_utils.model.foresee import foresee
from ansible_collections.pve.mobility.plugins.module_utils.model.move import MoveFacts, natural_mode

PARTNER_STUCK = Kind(
    "ha-partner-stuck",
    Severity.BLOCK,
    "A resource that an HA rule keeps together with the guest cannot come along to the target.",
    "The guest moves, its partner does not, and the HA manager brings them together again where they were, or tries"
    " without end.",
    "remove what holds the partner, choose another target, or disable the rule for the time of the work",
    "the resource, the finding that blocks it",
)


def partners(move: MoveFacts, judge: Callable[[MoveFacts], Iterable[Finding]], own: Iterable[str]) -> Iterator[Finding]:
    """Their moves are judged like the guest's.

    :param judge: all checks of one move. :param own: ids of what blocks the guest itself, which is not told twice.
    """
    state, target = move.state, move.target
    known = set(own)
    for sid in move.precondition.dependents:
        number = sid.rpartition(":")[2]
        partner = state.guest(int(number)) if number.isdigit() else None
        if partner is None or partner.node == target.name:
            continue
        for finding in judge(_along(move, partner)):
            if finding.severity is Severity.BLOCK and finding.id not in known:
                yield PARTNER_STUCK.found(
                    f"{partner.label} has to move along with {move.guest.label} to {target.name}, and cannot:"
                    f" {finding.message}",
                    finding.remedy,
                    guest=move.guest.vmid,
                    node=target.name,
                    sid=sid,
                    because=finding.id,
                )
                break


def _along(move: MoveFacts, partner: Guest) -> MoveFacts:
    state = move.state
    return MoveFacts(
        partner,
        move.target,
        natural_mode(partner, partner.running),
        foresee(state, partner),
        move.ha,
        state.jobs_of(partner.vmid),
        rules=state.rules_of(partner.sid),
        state=state,
        thresholds=move.thresholds,
        zfs=move.zfs,
        arriving=move.arriving | {move.guest.vmid},
        leaving=move.leaving,
        along=True,
    )
