# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module has in common: connection options, the session, and turning errors into results.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError, NotFound
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import explained


def _from(name: str) -> dict[str, Any]:
    return {"fallback": (env_fallback, [name])}


CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "api_host": {"type": "list", "elements": "str", **_from("PROXMOX_HOST")},
    "api_port": {"type": "int", "default": 8006, **_from("PROXMOX_PORT")},
    "api_user": {"type": "str", **_from("PROXMOX_USER")},
    "api_password": {"type": "str", "no_log": True, **_from("PROXMOX_PASSWORD")},
    "api_token_id": {"type": "str", "no_log": False, **_from("PROXMOX_TOKEN_ID")},
    "api_token_secret": {"type": "str", "no_log": True, **_from("PROXMOX_TOKEN_SECRET")},
    "validate_certs": {"type": "bool", "default": True, **_from("PROXMOX_VALIDATE_CERTS")},
    "ca_path": {"type": "path", **_from("PROXMOX_CA_PATH")},
    "api_timeout": {"type": "int", "default": 30, **_from("PROXMOX_API_TIMEOUT")},
}


def spec(**own: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A module's argument specification: its own options and those of the connection."""
    return {**own, **CONNECTION_SPEC}


def run(module: AnsibleModule, work: Callable[[Session, Clock], dict[str, Any]]) -> NoReturn:
    """Do the work with a session and end the module; each error becomes one sentence and its facts."""
    try:
        session = Session(from_options(module.params))
        try:
            result = work(session, Clock())
        except NotFound as error:
            raise explained(session, error) from None
        # The key belongs to Ansible: it shows what is in it, and keeps it in the registered result.
        for text in result.pop("warnings", ()):
            module.warn(text)
        module.exit_json(**result)
    except MobilityError as error:
        failure = error.failure()
        findings = failure.pop("findings", [])
        module.fail_json(msg=error.message, failure=failure, findings=findings)
