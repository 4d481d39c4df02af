# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes: a cluster, and recorded exchanges that are replayed on it in order.

A scene is a YAML file::

    cluster: {…}                 # a cluster file's content: the state before the first exchange
    users: none                  # only root@pam, without a token; default: the recorded cluster's (RECORDED_USERS)
    allow:                       # places that may differ, in any exchange, and why
      data[].uptime: a stopped node has none
    ignore-lines:                # task log lines that are left out of the comparison, and why
      "^conntrack": artefact
    replay:
      - node-status              # a recording; its task, if it started one, is followed to its end and compared too
      - {name: task-stop, follow: false, allow: {data: why}, auth: …, headers: {…}, params: {…}, node: pve2}
      - advance: 10              # seconds
      - control: {path: /lab/node, node: pve3, action: cut}

UPIDs, digests and tickets that the recording took from earlier answers are replaced by the lab's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.control import Control
from tests.conformance.client import Answer, Lab
from tests.conformance.compare import differences

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded"
SCENES = HERE / "scenes"

RECORDED_USERS = {
    "admin@pve": ("/", "Administrator"),
    "auditor@pve": ("/", "PVEAuditor"),
    "vmadmin@pve": ("/vms", "PVEVMAdmin"),
    "noperm@pve": None,
    "migrator@pve": None,
}
PASSWORD = "secret"


def recording(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return result


def scene_files() -> list[Path]:
    return sorted(SCENES.glob("*.yml"))


@dataclass(slots=True)
class Scene:
    """One scene file."""

    name: str
    cluster: dict[str, Any]
    replay: list[Any]
    users: str = "recorded"
    allow: dict[str, str] = field(default_factory=dict)
    ignore_lines: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Scene:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
        unknown = set(text) - {"cluster", "users", "allow", "ignore-lines", "replay"}
        assert not unknown, f"{path.name}: unknown keys {sorted(unknown)}"
        return cls(
            path.stem,
            text["cluster"],
            text["replay"],
            text.get("users", "recorded"),
            text.get("allow", {}),
            text.get("ignore-lines", {}),
        )

    def names(self) -> Iterator[str]:
        """The recordings that it replays, without those of followed tasks."""
        for step in self.replay:
            if isinstance(step, str):
                yield step
            elif "name" in step:
                yield step["name"]


class Replay:
    """Runs a scene and collects what differs."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lab = Lab.from_dict(scene.cluster)
        self.control = Control(self.lab.cluster, self.lab.gateway)
        self.found: list[str] = []
        self.replayed: list[str] = []
        self._known: dict[str, str] = {}
        users = self.lab.cluster.users
        users.set_password("root@pam", PASSWORD)
        if scene.users == "recorded":
            users.add_token("root@pam", "test", privsep=False)
            for userid, grant in RECORDED_USERS.items():
                users.add_user(userid, PASSWORD)
                users.add_token(userid, "t1", privsep=False)
                if grant is not None:
                    users.grant(grant[0], userid, grant[1])
        else:
            users.edit(lambda cfg: cfg.users["root@pam"].tokens.clear())

    def run(self) -> list[str]:
        for step in self.scene.replay:
            if isinstance(step, str):
                self._exchange(step, {})
            elif "name" in step:
                self._exchange(step["name"], step)
            elif "advance" in step:
                self.lab.advance(step["advance"])
            else:
                order = dict(step["control"])
                status, body = self.control.handle(order.pop("method", "POST"), order.pop("path"), order)
                assert status == 200, f"{self.scene.name}: {step}: {body}"
        return self.found

    # ------------------------------------------------------------ one exchange

    def _exchange(self, name: str, options: Mapping[str, Any]) -> None:
        recorded = recording(name)
        answer = self._send(recorded["request"], options)
        self._compare(name, recorded, answer, options)
        self._learn(recorded["body"], answer.body)
        upid = answer.data
        if isinstance(upid, str) and upid.startswith("UPID:") and options.get("follow", True):
            self._follow(name, upid, options)

    def _compare(self, name: str, recorded: Mapping[str, Any], answer: Answer, options: Mapping[str, Any]) -> None:
        allow = [*self.scene.allow, *options.get("allow", {})]
        ignore = [*self.scene.ignore_lines, *options.get("ignore-lines", {})]
        self.replayed.append(name)
        self.found += [f"{name}: {line}" for line in differences(recorded, answer, allow, ignore)]

    def _follow(self, name: str, upid: str, options: Mapping[str, Any]) -> None:
        parts = [part for part in ("task-status", "task-log") if (RECORDED / f"{name}.{part}.json").exists()]
        if parts:
            self.lab.wait_task(upid)
        for part in parts:
            recorded = recording(f"{name}.{part}")
            node = upid.split(":")[1]
            path = f"/nodes/{node}/tasks/{upid}/{part.removeprefix('task-')}"
            answer = self.lab.request("GET", path, recorded["request"]["params"], auth=self._auth("token"))
            self._compare(f"{name}.{part}", recorded, answer, options)

    def _send(self, request: Mapping[str, Any], options: Mapping[str, Any]) -> Answer:
        params = options.get("params", request["params"])
        auth = options.get("auth") or self._auth(request.get("auth") or "token")
        headers = {key: self._filled(value) for key, value in options.get("headers", {}).items()}
        return self.lab.request(
            request["method"],
            self._translate(request["path"]),
            {key: self._translate(value) for key, value in params.items()},
            auth=auth,
            node=options.get("node") or request.get("sent_to_node") or "pve1",
            headers=headers,
        )

    def _auth(self, recorded: str) -> str:
        match recorded.split(" "):
            case ["token"]:
                tokens = self.lab.cluster.users.cfg.users["root@pam"].tokens
                return "token:root@pam!test" if "test" in tokens else "root-token"
            case ["token", who]:
                return f"token:{who}"
            case ["ticket"]:
                return "root-ticket"
            case ["ticket-nocsrf"]:
                return "ticket-nocsrf:root@pam"
        return "none"

    def _filled(self, text: str) -> str:
        """Replace ``{ticket}`` by a fresh ticket of root@pam."""
        return text.replace("{ticket}", self.lab.cluster.users.issue_ticket("root@pam"))

    # ------------------------------------------------------------ what differs by nature

    def _translate(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith("PVE:root@pam:"):
            return self.lab.cluster.users.issue_ticket("root@pam")
        for old, new in self._known.items():
            if old in value:
                value = value.replace(old, new)
        return value

    def _learn(self, recorded: Any, got: Any) -> None:
        """Remember which of the lab's UPIDs and digests stand for which of the recording's."""
        match recorded, got:
            case dict(), dict():
                for key in recorded.keys() & got.keys():
                    if key == "digest" and isinstance(got[key], str):
                        self._known[recorded[key]] = got[key]
                    else:
                        self._learn(recorded[key], got[key])
            case str(), str() if recorded.startswith("UPID:") and got.startswith("UPID:"):
                self._known[recorded] = got
