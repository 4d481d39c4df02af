# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``upgrade_state``: how far a rolling upgrade is, in a file that is whole at every moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import merge_hash

_SPEC: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "add": {"type": "dict", "default": {}},
    "begin": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Works on the controller alone."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(argument_spec=_SPEC)
        path = Path(options["path"]).expanduser()
        before = _read(path)
        state = merge_hash({} if options["begin"] else before, options["add"])
        if state != before and not self._task.check_mode:
            _write(path, state)
        return {**result, "changed": False, "state": state}


def _read(path: Path) -> dict[str, Any]:
    """Empty when there is none. :raises AnsibleActionFail: it cannot be read."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise AnsibleActionFail(f"The state {path} cannot be read ({problem}): remove it to begin anew.") from None
    if not isinstance(state, dict):
        raise AnsibleActionFail(f"The state {path} is none of a rolling upgrade: remove it to begin anew.")
    return state


def _write(path: Path, state: dict[str, Any]) -> None:
    """On the disk, and then in its place: a crash leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as problem:
        raise AnsibleActionFail(f"The state {path} cannot be written: {problem.strerror}.") from None
