# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``upgrade_state``: how far a rolling upgrade is, in a file that is whole at every moment."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import merge_hash

_SPEC: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "add": {"type": "dict", "default": {}},
    "begin": {"type": "bool", "default": False},
    "hold": {"type": "bool", "default": False},
}
_INVALID = {"failure": {"kind": "invalid"}}


class ActionModule(ActionBase):
    """Works on the controller alone."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, options = self.validate_argument_spec(argument_spec=_SPEC)
        path = Path(options["path"]).expanduser()
        if options["hold"] and not self._task.check_mode:
            other = _hold(path)
            if other:
                return {**result, "failed": True, "msg": other, "failure": {"kind": "conflict"}}
        before = _read(path)
        state = merge_hash({} if options["begin"] else before, options["add"])
        if state != before and not self._task.check_mode:
            _write(path, state)
        return {**result, "changed": False, "state": state}


def _hold(path: Path) -> str:
    """Make the state that of this run; empty, or why it is not: another run that works with it still lives."""
    # Actions are carried out by children of the process that plays.
    own = {"pid": os.getppid(), "began": _began(os.getppid()), "host": socket.gethostname()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.with_name(f"{path.name}.lock").open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            other = _owner(file.read())
            if other and other != own and other.get("host") == own["host"] and _lives(other):
                return (
                    f"Another run is at work with the state {path} (process {other['pid']} on this machine): wait until"
                    " it has ended. This one changes nothing."
                )
            file.seek(0)
            file.truncate()
            file.write(json.dumps(own))
    except OSError as problem:
        raise AnsibleActionFail(f"The state {path} cannot be written: {problem.strerror}.") from None
    return ""


def _owner(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("pid"), int) else {}


def _lives(other: dict[str, Any]) -> bool:
    """Numbers of processes are given again, so the time when it began counts too."""
    try:
        os.kill(other["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(other.get("began") == _began(other["pid"]))


def _began(pid: int) -> str:
    """In ticks since the machine has started; empty where that cannot be found out."""
    try:
        # The name in the second field may have blanks in it.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(path: Path) -> dict[str, Any]:
    """Empty when there is none. :raises AnsibleActionFail: it cannot be read."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise AnsibleActionFail(
            f"The state {path} cannot be read ({problem}): remove it to begin anew.", result=_INVALID
        ) from None
    if not isinstance(state, dict):
        raise AnsibleActionFail(
            f"The state {path} is none of a rolling upgrade: remove it to begin anew.", result=_INVALID
        )
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
        raise AnsibleActionFail(f"The state {path} cannot be written: {problem.strerror}.", result=_INVALID) from None
