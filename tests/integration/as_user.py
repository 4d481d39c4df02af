# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as an account with few rights runs them: their own ``main``, on a lab in the same process."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.pve.mobility.plugins.module_utils import surface
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading

ACCOUNT = "mover@pve"
TOKEN = f"{ACCOUNT}!t"
EVERYWHERE = "Permissions.Modify"
MODULES = "ansible_collections.pve.mobility.plugins.modules"
Grant = tuple[str, str]
"""Path and privilege."""


@dataclass(slots=True)
class Outcome:
    """What a module returned, and the writes that were accepted."""

    result: dict[str, Any]
    writes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def said(self) -> str:
        """All of the result but the options."""
        return json.dumps({name: value for name, value in self.result.items() if name != "invocation"})


class Writing(LabSession):
    """Notes what was written."""

    def __init__(self, lab: Lab, auth: str) -> None:
        super().__init__(lab, auth=auth)
        self.writes: list[str] = []

    def _ask(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        answer = super()._ask(method, path, params)
        if method != "GET":
            self.writes.append(f"{method} {path}")
        return answer


def call(lab: Lab, module: str, options: Mapping[str, Any], auth: str = "root-token", check: bool = False) -> Outcome:
    """Run a module; ``auth`` as in ``tests.conformance.client``."""
    session = Writing(lab, auth)

    def connect(_connection: Connection) -> Session:
        return session

    def clock() -> LabClock:
        return LabClock(lab)

    warned: list[str] = []

    def warn(_module: AnsibleModule, text: str, **_more: Any) -> None:
        warned.append(text)

    given = {"api_host": ["lab"], "api_token_id": "root@pam!lab", "api_token_secret": "nobodys-secret", **options}
    said = io.StringIO()
    with (
        patch_module_args({**given, "_ansible_check_mode": check}),
        # Where an action plugin was imported before, warnings would go to the display of the controller.
        mock.patch.object(AnsibleModule, "warn", warn),
        mock.patch.object(surface, "Session", connect),
        mock.patch.object(surface, "Clock", clock),
        reading(session),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        importlib.import_module(f"{MODULES}.{module}").main()
    return Outcome({**json.loads(said.getvalue()), "warnings": warned}, session.writes)


def grant(lab: Lab, rights: Iterable[Grant]) -> str:
    """Give an account exactly these rights, each on its path alone where a path names a thing, else below it too."""
    users = lab.cluster.users
    if ACCOUNT not in users.cfg.users:
        users.add_user(ACCOUNT, password="x")
        users.add_token(ACCOUNT, "t", privsep=False)
    by_path: dict[str, set[str]] = {}
    for path, privilege in sorted(rights):
        by_path.setdefault(path, set()).add(privilege)
    for path in sorted(by_path):
        # The nearest entry replaces those above it, so it has to hold them too.
        parts = path.split("/")
        for length in range(2, len(parts)):
            by_path[path] |= by_path.get("/".join(parts[:length]), set())

    def change(cfg: Any) -> None:
        for node in cfg.acl.values():
            node.users.pop(ACCOUNT, None)
        for name in [name for name in cfg.roles if name.startswith("only-")]:
            del cfg.roles[name]
        for number, (path, privileges) in enumerate(sorted(by_path.items())):
            # On / only what has to reach everywhere goes down.
            for way in (0, 1):
                chosen = frozenset(name for name in privileges if way == (path != "/" or name == EVERYWHERE))
                if chosen:
                    cfg.roles[f"only-{number}-{way}"] = chosen
                    cfg.acl_node(path).users.setdefault(ACCOUNT, {})[f"only-{number}-{way}"] = way

    users.edit(change)
    return f"token:{TOKEN}"
