# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user asks of ``drain``, checked as far as it can be without the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid
from ansible_collections.pve.mobility.plugins.module_utils.checks.judge import kinds
from ansible_collections.pve.mobility.plugins.module_utils.execution.accepting import accepted
from ansible_collections.pve.mobility.plugins.module_utils.execution.request import MoveRequest, storage_map
from ansible_collections.pve.mobility.plugins.module_utils.model.thresholds import Thresholds
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import Options
from ansible_collections.pve.mobility.plugins.module_utils.planning.plan import Limits, Plan, PlanError, plan_from
from ansible_collections.pve.mobility.plugins.module_utils.planning.policy import Pinned, Policy


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """Units as in the module's documentation. ``move``: what every single move is asked for with.

    :ivar step: of the plan, None for the one that works on ``node``. :ivar order: vmids that are
        moved first. :ivar timeout: seconds, 0 for none.
    """

    node: str
    policy: Policy = field(default_factory=Policy)
    move: MoveRequest = field(default_factory=lambda: MoveRequest("", ()))
    plan: Plan | None = None
    step: int | None = None
    journal: Path | None = None
    order: tuple[int, ...] = ()
    stop_timeout: int = 180
    timeout: float = 0.0


def from_options(options: Mapping[str, Any]) -> DrainRequest:
    """:raises Invalid: a value that cannot be right."""
    plan = read_plan(options.get("plan"))
    node = str(options.get("node") or "").strip()
    if not node and options.get("step") is None:
        raise Invalid("node is empty: name the node that is to be emptied.")
    for name, least in (
        ("parallel", 0),
        ("parallel_target", 0),
        ("parallel_cluster", 0),
        ("bwlimit", 0),
        ("stop_timeout", 1),
        ("restart_timeout", 1),
        ("timeout", 0),
    ):
        if options.get(name) is not None and options[name] < least:
            raise Invalid(f"{name} must be {least} or more.")
    to = tuple(dict.fromkeys(str(name).strip() for name in options.get("to") or () if str(name).strip()))
    if node in to:
        raise Invalid(f"{node} is to be emptied, and cannot be among the nodes that take its guests (to).")
    accept = accepted(options, kinds())
    mapping = storage_map(options.get("target_storage"))
    given = {name: float(value) for name, value in (options.get("thresholds") or {}).items() if value is not None}
    base = Limits()
    limits = Limits(
        _or(options.get("parallel"), base.source),
        _or(options.get("parallel_target"), base.target),
        _or(options.get("parallel_cluster"), base.cluster),
    )
    local = options.get("with_local_disks")
    local = True if local is None else bool(local)
    policy = Policy(
        Options(accept, Thresholds(**given), {}, local, mapping, bool(options.get("isolated"))),
        limits,
        Pinned(options.get("pinned") or "fail"),
        stopped=bool(options["stopped"]) if options.get("stopped") is not None else True,
        to=to or None,
    )
    move = MoveRequest(
        "",
        (),
        with_local_disks=local,
        storage_map=mapping,
        bwlimit=options.get("bwlimit"),
        restart_timeout=options.get("restart_timeout"),
        sync_first=options.get("sync_first"),
        sync_max_age=_or(options.get("sync_max_age"), 900),
        accept=accept,
        timeout=0.0,
    )
    journal = options.get("journal")
    return DrainRequest(
        node,
        policy,
        move,
        plan,
        options.get("step"),
        Path(journal).expanduser() if journal else None,
        tuple(int(vmid) for vmid in options.get("order") or ()),
        _or(options.get("stop_timeout"), 180),
        float(options.get("timeout") or 0),
    )


def _or(value: Any, otherwise: int) -> int:
    return otherwise if value is None else int(value)


def read_plan(value: Any) -> Plan | None:
    """A plan as data, as JSON, or the path of a file that holds it.

    :raises Invalid: it is no plan.
    """
    if not value:
        return None
    try:
        if isinstance(value, Mapping):
            return plan_from(value.get("plan", value) if "fingerprint" not in value else value)
        text = str(value)
        if not text.lstrip().startswith("{"):
            text = Path(text).expanduser().read_text(encoding="utf-8")
        return plan_from(json.loads(text))
    except OSError as problem:
        raise Invalid(f"The plan {value} cannot be read: {problem.strerror}.") from None
    except (PlanError, ValueError) as problem:
        raise Invalid(f"plan: {problem}") from None
