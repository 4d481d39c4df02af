# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong on demand: in HTTP, inside tasks, and in the HA stack.

A fault is described by a mapping, in a cluster file (``faults:``) or through the control path:

* HTTP: ``{match: {method, path, node, user}, effect: …}`` with effect ``{status: 500, reason: text}``,
  ``{latency: seconds}``, ``{cut: before}``, ``{cut: after}`` (the request was or was not carried out), ``hang``;
* tasks: ``{task: qmigrate, vmid: 100, phase: memory, effect: …}`` with effect ``{fail: text}``, ``kill``,
  ``{warnings: n}``, ``leave-lock``, ``leave-target-disk``;
* the shell of a node: ``{shell: apt-get .*upgrade, node: pve3, effect: {fail: text}}`` with a regular expression;
* HA: ``{ha: never-acts, sid: "vm:100"}``, or ``ha:`` ``lrm-fails``, ``drop``, ``{delay: [least, most]}`` (seconds).

``nth: n`` (only the nth time it matches) and ``count: n`` (at most n times) fit all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PHASES = ("prepare", "disks", "memory", "switchover", "cleanup", "shutdown", "start")
_AT_THE_END = frozenset({"warnings", "leave-lock", "leave-target-disk"})


class BadFault(ValueError):
    """The description of a fault makes no sense; one sentence."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens.

    :ivar kind: ``status``, ``latency``, ``cut``, ``hang``; ``fail``, ``kill``, ``warnings``, ``leave-lock``,
        ``leave-target-disk``; ``never-acts``, ``lrm-fails``, ``drop``, ``delay``.
    :ivar text: reason, error line, or ``before``/``after``. :ivar number: status, seconds or count.
    """

    kind: str
    text: str = ""
    number: float = 0.0
    most: float = 0.0


@dataclass(slots=True)
class Fault:
    """One entry of the table."""

    id: int
    domain: str
    effect: Effect
    match: dict[str, Any]
    nth: int | None
    count: int | None
    seen: int = 0
    fired: int = 0

    def fires(self) -> bool:
        """Count a match; True when the fault acts this time."""
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.count is not None and self.fired >= self.count:
            return False
        self.fired += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        effect = {name: getattr(self.effect, name) for name in self.effect.__slots__}
        return {"id": self.id, "domain": self.domain, "effect": effect, "match": self.match, "fired": self.fired}


class Faults:
    """The table of a lab."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next = 1

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, description: Mapping[str, Any]) -> Fault:
        """:raises BadFault: with one sentence."""
        fault = _parse(self._next, description)
        self._next += 1
        self._faults.append(fault)
        return fault

    def clear(self, id: int | None = None) -> None:
        """Remove one fault, or all of them."""
        self._faults = [] if id is None else [fault for fault in self._faults if fault.id != id]

    def http(self, method: str, path: str, node: str, user: str | None) -> Effect | None:
        """The effect on this request; asked once per request."""
        for fault in self._faults:
            if fault.domain != "http":
                continue
            match = fault.match
            wanted = (("method", method), ("node", node), ("user", user))
            if any(key in match and match[key] != value for key, value in wanted):
                continue
            if "path" in match and not re.search(match["path"], path):
                continue
            if fault.fires():
                return fault.effect
        return None

    def task(self, type: str, vmid: int | str, phase: str) -> Effect | None:
        """The effect on a task that enters ``phase`` (one of :data:`PHASES`); asked once per phase.

        A fault that names no phase acts in the first phase asked for; leftovers and warnings in ``cleanup``.
        """
        for fault in self._faults:
            if fault.domain != "task" or fault.match["task"] != type:
                continue
            default = "cleanup" if fault.effect.kind in _AT_THE_END else phase
            if fault.match.get("phase", default) != phase or str(fault.match.get("vmid", vmid)) != str(vmid):
                continue
            if fault.fires():
                return fault.effect
        return None

    def shell(self, node: str, command: str) -> Effect | None:
        """The effect on a command line of a node's shell; asked once per command."""
        for fault in self._faults:
            if fault.domain != "shell" or fault.match.get("node", node) != node:
                continue
            if re.search(fault.match["shell"], command) and fault.fires():
                return fault.effect
        return None

    def ha(self, sid: str, *kinds: str) -> Effect | None:
        """The effect on the HA command or service ``sid``; with ``kinds`` only faults of these kinds are asked."""
        for fault in self._faults:
            if fault.domain != "ha" or fault.match.get("sid", sid) != sid:
                continue
            if (not kinds or fault.effect.kind in kinds) and fault.fires():
                return fault.effect
        return None


# ---------------------------------------------------------------- descriptions


def _parse(id: int, description: Mapping[str, Any]) -> Fault:
    if not isinstance(description, Mapping):
        raise BadFault(f"A fault is a mapping with 'match' and 'effect', 'task' or 'ha', not {description!r}.")
    nth, count = (_whole(description, name) for name in ("nth", "count"))
    domains = {"match": _http, "task": _task, "ha": _ha, "shell": _shell}
    for key, parse in domains.items():
        if key in description:
            domain, effect, match = parse(description)
            if isinstance(description.get("match"), Mapping):
                nth = nth if nth is not None else _whole(description["match"], "nth")
                count = count if count is not None else _whole(description["match"], "count")
            return Fault(id, domain, effect, match, nth, count)
    raise BadFault("A fault needs 'match' (HTTP), 'task', 'ha' or 'shell': which one is it?")


def _whole(description: Mapping[str, Any], name: str) -> int | None:
    value = description.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise BadFault(f"'{name}' of a fault is a number of times from 1, not {value!r}.")


def _only(description: Mapping[str, Any], allowed: set[str], what: str) -> None:
    if unknown := sorted(set(description) - allowed):
        raise BadFault(f"{what} has no '{unknown[0]}' (it may have {', '.join(sorted(allowed))}).")


def _http(description: Mapping[str, Any]) -> tuple[str, Effect, dict[str, Any]]:
    _only(description, {"match", "effect", "nth", "count"}, "An HTTP fault")
    match = description["match"]
    if not isinstance(match, Mapping):
        raise BadFault(f"'match' of a fault is a mapping, not {match!r}.")
    _only(match, {"method", "path", "node", "user", "nth", "count"}, "'match' of a fault")
    wanted = {key: str(value) for key, value in match.items() if key in {"method", "path", "node", "user"}}
    try:
        re.compile(wanted.get("path", ""))
    except re.error as error:
        raise BadFault(f"'path' of a fault is no regular expression: {error}.") from error
    return "http", _http_effect(description.get("effect")), wanted


def _http_effect(effect: Any) -> Effect:
    match effect:
        case "hang":
            return Effect("hang")
        case {"latency": int() | float() as seconds} if seconds >= 0 and len(effect) == 1:
            return Effect("latency", number=float(seconds))
        case {"cut": "before" | "after" as when} if len(effect) == 1:
            return Effect("cut", when)
        case {"status": int() as status} if 200 <= status <= 599 and set(effect) <= {"status", "reason"}:
            return Effect("status", str(effect.get("reason", "fault injected")), status)
    raise BadFault(
        f"The effect of an HTTP fault is {{status: 500, reason: text}}, {{latency: seconds}}, "
        f"{{cut: before}}, {{cut: after}} or hang, not {effect!r}."
    )


def _task(description: Mapping[str, Any]) -> tuple[str, Effect, dict[str, Any]]:
    _only(description, {"task", "vmid", "phase", "effect", "nth", "count"}, "A task fault")
    phase = description.get("phase")
    if phase is not None and phase not in PHASES:
        raise BadFault(f"'phase' of a fault is one of {', '.join(PHASES)}, not {phase!r}.")
    wanted = {key: description[key] for key in ("task", "vmid", "phase") if key in description}
    return "task", _task_effect(description.get("effect")), wanted


def _task_effect(effect: Any) -> Effect:
    match effect:
        case "kill" | "leave-lock" | "leave-target-disk":
            return Effect(effect)
        case "fail":
            return Effect("fail", "fault injected")
        case {"fail": str() as text} if len(effect) == 1:
            return Effect("fail", text)
        case {"warnings": int() as count} if count > 0 and len(effect) == 1:
            return Effect("warnings", number=count)
    raise BadFault(
        "The effect of a task fault is {fail: text}, kill, {warnings: n}, leave-lock or leave-target-disk, "
        f"not {effect!r}."
    )


def _shell(description: Mapping[str, Any]) -> tuple[str, Effect, dict[str, Any]]:
    _only(description, {"shell", "node", "effect", "nth", "count"}, "A fault of the shell")
    wanted = {key: str(description[key]) for key in ("shell", "node") if key in description}
    try:
        re.compile(wanted["shell"])
    except re.error as error:
        raise BadFault(f"'shell' of a fault is no regular expression: {error}.") from error
    effect = _task_effect(description.get("effect", "fail"))
    if effect.kind != "fail":
        raise BadFault(f"The effect of a fault of the shell is {{fail: text}}, not {description.get('effect')!r}.")
    return "shell", effect, wanted


def _ha(description: Mapping[str, Any]) -> tuple[str, Effect, dict[str, Any]]:
    _only(description, {"ha", "sid", "nth", "count"}, "An HA fault")
    wanted = {"sid": str(description["sid"])} if "sid" in description else {}
    effect = description["ha"]
    match effect:
        case "never-acts" | "lrm-fails" | "drop":
            return "ha", Effect(effect), wanted
        case {"delay": [int() | float() as least, int() | float() as most]} if 0 <= least <= most:
            return "ha", Effect("delay", number=float(least), most=float(most)), wanted
    raise BadFault(f"'ha' of a fault is never-acts, lrm-fails, drop or {{delay: [least, most]}}, not {effect!r}.")
