# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as an account with few rights runs them: their own ``main``, on a lab in the same process."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.pve.mobility.plugins.module_utils import surface
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from tests.conformance.client import Lab
from tests.integration.inprocess import LabClock, LabSession, reading

ACCOUNT = "mover@pve"
TOKEN = f"{ACCOUNT}!t"
MODULES = "ansible_collections.pve.mobility.plugins.modules"
Grant = tuple[str, str]
"""Path and privilege."""


def call(
    lab: Lab, module: str, options: Mapping[str, Any], auth: str = "root-token", check: bool = False
) -> dict[str, Any]:
    """The result of a module; ``auth`` as in ``tests.conformance.client``."""
    session = LabSession(lab, auth=auth)

    def connect(_connection: Connection) -> Session:
        return session

    def clock() -> LabClock:
        return LabClock(lab)

    given = {"api_host": ["lab"], "api_token_id": "root@pam!lab", "api_token_secret": "nobodys-secret", **options}
    said = io.StringIO()
    with (
        patch_module_args({**given, "_ansible_check_mode": check}),
        mock.patch.object(warnings, "_global_warnings", {}),
        mock.patch.object(surface, "Session", connect),
        mock.patch.object(surface, "Clock", clock),
        reading(session),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        importlib.import_module(f"{MODULES}.{module}").main()
    result: dict[str, Any] = json.loads(said.getvalue())
    return result


def grant(lab: Lab, rights: Iterable[Grant]) -> str:
    """Give an account exactly these rights, each on its path alone where a path names a thing, else below it too."""
    users = lab.cluster.users
    if ACCOUNT not in users.cfg.users:
        users.add_user(ACCOUNT, password="x")
        users.add_token(ACCOUNT, "t", privsep=False)
    by_path: dict[str, set[str]] = {}
    for path, privilege in rights:
        by_path.setdefault(path, set()).add(privilege)

    def change(cfg: Any) -> None:
        for node in cfg.acl.values():
            node.users.pop(ACCOUNT, None)
        for name in [name for name in cfg.roles if name.startswith("only-")]:
            del cfg.roles[name]
        for number, (path, privileges) in enumerate(sorted(by_path.items())):
            cfg.roles[f"only-{number}"] = frozenset(privileges)
            cfg.acl_node(path).users[ACCOUNT] = {f"only-{number}": int(path != "/")}
        cfg.computed.clear()

    users.edit(change)
    return f"token:{TOKEN}"
