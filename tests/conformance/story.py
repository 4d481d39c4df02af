# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded timelines retold: the lab does what was done, at the same times, and is watched by the same poller.

What is compared of an endpoint is reduced by a *view*: a function of the HTTP status and the data (recorded values are
reduced already, so a view takes only keys that both have).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import simpy

from lab.control import Control
from lab.http.gateway import Request
from tests.conformance.client import Cut, Lab
from tests.conformance.poll import CONNECTION_ERROR, TIMELINES, Change

View = Callable[[int, Any], Any]
_ORDER = re.compile(r"(POST|PUT|DELETE) (/\S+)")
_SHELL = re.compile(r"on (\w+): ((?:qm|pct) unlock \d+)$")
_MOVES = frozenset({"qmigrate", "vzmigrate", "qmmove", "move_volume"})
_TASKS = _MOVES | {"qmstart", "vzstart"}
_KILL = re.compile(r"on (\w+): kill -9 \d+$")


def load(name: str) -> list[dict[str, Any]]:
    text = (TIMELINES / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------- views


def current(status: int, data: Any) -> Any:
    """``status/current``: which node answers, and the state."""
    if status != 200:
        return status
    return tuple(data.get(key) for key in ("status", "qmpstatus", "lock"))


def place(guest: str) -> View:
    """``/cluster/resources``: where a guest is, and its lock."""

    def view(status: int, data: Any) -> Any:
        if isinstance(data, list):
            data = {row["id"]: row for row in data if "vmid" in row}
        row = data.get(guest) or {}
        return row.get("node"), row.get("lock")

    return view


def config(status: int, data: Any) -> Any:
    return data.get("lock", "unlocked") if status == 200 else status


def task(status: int, data: Any) -> Any:
    return data.get("exitstatus") or data.get("status")


def tasks(status: int, data: Any) -> Any:
    """Types and states of the tasks that make a migration."""
    rows = data["changed"] if isinstance(data, dict) else data
    return sorted((_kind(row), row.get("status")) for row in rows if _kind(row) in _TASKS)


def _kind(row: Mapping[str, Any]) -> str:
    return str(row["type"]) if "type" in row else str(row["upid"]).split(":")[1]


def content(status: int, data: Any) -> Any:
    return sorted(row if isinstance(row, str) else row["volid"] for row in data) if status == 200 else status


# ---------------------------------------------------------------- the lab's side


@dataclass(slots=True)
class Answered:
    """An order of the recording and what became of it in the lab."""

    at: float
    order: str
    status: int
    reason: str
    took: float
    genuine: Mapping[str, Any]


@dataclass(slots=True)
class Story:
    """One recording and the lab that retells it.

    :ivar views: endpoint as the recording names it → what is looked at.
    :ivar since: seconds of the recording that are not told again; times count from there.
    """

    name: str
    lab: Lab
    views: Mapping[str, View]
    interval: float = 0.25
    since: float = 0.0
    seen: dict[str, list[Change]] = field(default_factory=dict)
    answers: list[Answered] = field(default_factory=list)
    _upids: dict[str, str] = field(default_factory=dict)
    _open: list[tuple[simpy.Process, dict[str, Any], float]] = field(default_factory=list)

    def tell(self, until: float | None = None, before: Mapping[float, Callable[[], None]] | None = None) -> Story:
        """Do everything that was done up to ``until``. ``before``: what happened outside the API, by time."""
        events = [row for row in load(self.name) if "event" in row and row["t"] >= 0]
        self._upids = {upid: "" for row in events if row["t"] < self.since and (upid := _started(row)) is not None}
        last = until if until is not None else max(row["t"] for row in load(self.name)) + 1 - self.since
        told = [(float(row["t"]) - self.since, row) for row in events if row["t"] >= self.since]
        deeds = [(at, self._deed(row)) for at, row in told if at <= last]
        deeds += list((before or {}).items())
        start = self.lab.now
        self._look_around(start)
        for at, deed in sorted(deeds, key=lambda item: item[0]):
            self._watch(start, at)
            deed()
        self._watch(start, last)
        self._collect(start)
        return self

    def _watch(self, start: float, until: float) -> None:
        while self.lab.now - start < until:
            self._look_around(start)
            self.lab.advance(min(self.interval, max(1e-3, until - (self.lab.now - start))))

    def _look_around(self, start: float) -> None:
        for endpoint, view in self.views.items():
            value = self._look(endpoint, view)
            changes = self.seen.setdefault(endpoint, [])
            if not changes or changes[-1].value != value:
                changes.append(Change(self.lab.now - start, value))
        self._collect(start)

    def _look(self, endpoint: str, view: View) -> Any:
        path, _at, node = endpoint.removeprefix("GET ").partition(" @")
        path, _mark, query = path.partition("?")
        if "{upid" in path:
            number = int(re.sub(r"\D", "", path.partition("{upid")[2].partition("}")[0]) or 1)
            upids = list(self._upids.values())
            if len(upids) < number:
                return None
            path = f"/nodes/{upids[number - 1].split(':')[1]}/tasks/{upids[number - 1]}{path.partition('}')[2]}"
        try:
            answer = self.lab.request("GET", path, dict(parse_qsl(query)), node=node)
        except Cut:
            return CONNECTION_ERROR
        return view(answer.status, answer.data)

    # ------------------------------------------------------------ deeds

    def _deed(self, row: dict[str, Any]) -> Callable[[], None]:
        text = row["event"]
        if match := _SHELL.match(text):
            return lambda: self._control("/lab/shell", node=match[1], argv=match[2].split())
        if match := _KILL.match(text):
            return self._kill
        if match := _ORDER.match(text):
            return lambda: self._order(match[1], match[2], row)
        return lambda: None

    def _control(self, path: str, **fields: Any) -> None:
        status, body = Control(self.lab.cluster, self.lab.gateway).handle("POST", path, fields)
        assert status == 200, body

    def _kill(self) -> None:
        running = [item for item in self.lab.cluster.tasks.running() if item.type in _MOVES]
        self._control("/lab/task", upid=running[0].upid, action="kill")

    def _order(self, method: str, path: str, row: dict[str, Any]) -> None:
        for old, new in self._upids.items():
            path = path.replace(old, new)
        auth = "root-ticket" if "skiplock" in row["params"] else "root-token"
        request = Request(method, path, dict(row["params"]), self.lab.headers(auth), row["api_host"])
        process = self.lab.engine.spawn(self.lab.gateway.serve(request))
        began = self.lab.now
        for _step in range(10):
            if not process.triggered:
                self.lab.advance(0.005)
        data = _started(row)
        if process.triggered and data is not None and process.value.body:
            got = process.value.body["data"]
            if got is not None:
                self._upids[data] = got
        self._open.append((process, row, began))

    def _collect(self, start: float) -> None:
        for process, row, began in [item for item in self._open if item[0].triggered]:
            self._open.remove((process, row, began))
            answer = process.value
            self.answers.append(
                Answered(row["t"], row["event"], answer.status, answer.reason, self.lab.now - began, row["answer"])
            )

    # ------------------------------------------------------------ the recording's side

    def genuine(self, endpoint: str) -> list[Change]:
        view = self.views[endpoint]
        changes: list[Change] = []
        for row in load(self.name):
            if row.get("endpoint") == endpoint:
                lost = row["status"] == CONNECTION_ERROR
                value = CONNECTION_ERROR if lost else view(row["status"], row["value"])
                if row["t"] < self.since:
                    changes = [Change(0.0, value)]
                elif not changes or changes[-1].value != value:
                    changes.append(Change(row["t"] - self.since, value))
        return changes

    def check(self, endpoints: Iterable[str] | None = None, tolerance: float = 2.0, until: float = 1e9) -> None:
        """Same values in the same order, at about the same times."""
        for endpoint in endpoints or self.views:
            mine = [change for change in self.seen[endpoint] if change.at <= until and change.value is not None]
            theirs = [change for change in self.genuine(endpoint) if change.at <= until]
            told = f"{self.name}: {endpoint}\nrecorded {_list(theirs)}\nlab      {_list(mine)}"
            assert [change.value for change in mine] == [change.value for change in theirs], told
            for one, other in zip(mine, theirs, strict=True):
                assert abs(one.at - other.at) <= tolerance, told

    def check_answers(self, least: int = 1) -> None:
        """Every order that the lab knows was answered as in the recording."""
        known = [answer for answer in self.answers if answer.status != 501]
        assert len(known) >= least, self.answers
        for answer in known:
            where = f"{self.name}: {answer.order} at {answer.at}"
            assert (answer.status, answer.reason) == (answer.genuine["status"], answer.genuine["reason"]), where


def _started(row: Mapping[str, Any]) -> str | None:
    """The UPID that an order of the recording was answered with."""
    data = (row.get("answer", {}).get("body") or {}).get("data")
    return data if isinstance(data, str) and data.startswith("UPID:") else None


def _list(changes: list[Change]) -> str:
    return ", ".join(f"{change.at:.2f} {change.value!r}" for change in changes)
