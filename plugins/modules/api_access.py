#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An account for the collection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_access
short_description: Keep an account and token with the least privileges for what it is for
version_added: 1.0.0
author: pve.mobility contributors (@pve-mobility)
description:
  - Creates roles, a user, a token and the entries of the access control list that O(features) need on the releases of
    the cluster, and no more. It repairs what differs, a privilege too many as well as one too few.
  - The privileges come from the same table as the page of privileges in the documentation of the collection.
  - The secret of a token is told by Proxmox VE once. It goes to O(secret_file), which only its owner can read, and into
    no result, log or diff.
notes:
  - "Privileges: C(Permissions.Modify) on C(/), C(Sys.Audit) and C(Sys.Modify) on C(/access), C(User.Modify) on
    C(/access/groups) and C(Realm.AllocateUser) on C(/access/realm/{realm}). An administrator has them; run it as one,
    and everything else with the token that it makes."
  - On C(/) an entry does not go down to what is below, where it would reach accounts and consoles.
  - While nodes of 8.4 and 9.x are together, the roles hold what either asks for. Writing goes through the newest host
    of O(api_host), because an older one drops privileges that it does not know. Run it again after the last node.
  - An entry near a guest replaces, for the same account, those above it. So an account that has other rights is
    refused unless O(exclusive) takes them away.
  - The user is created without a password. O(state=absent) leaves it, without rights.
extends_documentation_fragment:
  - pve.mobility.api
  - pve.mobility.attributes
options:
  features:
    description:
      - What the account is for. The page of privileges says what each one takes, and what a stolen token could do.
      - Needed unless O(state=absent).
    type: list
    elements: str
    choices: [audit, migrate, target_storage, sync, move_disk, stop, drain, drain_storage, replication, ha, backups,
              standards, upgrade]
    default: []
  user:
    description: The account, with its realm.
    type: str
    default: mobility@pve
  token:
    description: The name of its token.
    type: str
    default: ansible
  role:
    description: What the names of the roles begin with. Two accounts for different features need different ones.
    type: str
    default: mobility
  pools:
    description: Pools whose guests may be written to. Without O(pools) and O(guests) all may.
    type: list
    elements: str
    default: []
  guests:
    description: Numbers of guests that may be written to.
    type: list
    elements: int
    default: []
  storages:
    description: Storages that disks may be brought to. All without it.
    type: list
    elements: str
    default: []
  privsep:
    description: Whether the token has rights of its own, which are never more than those of the user.
    type: bool
    default: true
  expire:
    description: When the token ends, as Unix time. V(0) for never.
    type: int
    default: 0
  comment:
    description: Comment of the token.
    type: str
    default: ""
  exclusive:
    description: Whether other rights of user and token are taken away. Otherwise they are a reason to refuse.
    type: bool
    default: false
  renew:
    description: Whether a token that is there is replaced by a new one with a new secret.
    type: bool
    default: false
  secret_file:
    description:
      - File where the module runs that takes the secret of a new token, and nothing else. Its mode is C(0600).
      - Needed when a token has to be made.
    type: path
  state:
    description: V(absent) removes the token, its entries, and the roles that nobody else has.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows user, token, roles and entries of the access control list before and after. Secrets are never in it.
  idempotent:
    support: partial
    details:
      - With O(renew) every run makes a new secret.
seealso:
  - ref: ansible_collections.pve.mobility.docsite.privileges
    description: What each module and each feature needs.
  - ref: ansible_collections.pve.mobility.docsite.security
    description: What is sent where, and how secrets are kept.
"""

EXAMPLES = r"""
- name: See which rights an account for audits and migrations would get
  pve.mobility.api_access:
    features: [audit, migrate]
    secret_file: ~/mobility.secret
  check_mode: true
  diff: true

- name: A token that moves the guests of a pool, and ends with the year
  pve.mobility.api_access:
    features: [audit, migrate]
    user: shop@pve
    token: mover
    role: shop
    pools: [shop]
    expire: 1798675200
    secret_file: ~/shop.secret

- name: Replace a token whose secret was seen by others
  pve.mobility.api_access:
    features: [audit]
    renew: true
    secret_file: ~/mobility.secret

- name: Take everything back
  pve.mobility.api_access:
    state: absent
"""

RETURN = r"""
user:
  description: The account.
  returned: success
  type: str
  sample: mobility@pve
token:
  description: The token.
  returned: success
  type: dict
  contains:
    id: {description: As O(api_token_id) takes it., type: str, sample: mobility@pve!ansible}
    created: {description: "Whether it was made, or would be.", type: bool, sample: true}
    secret_file:
      description: Where its secret is, when it was made.
      type: str
      sample: /home/ops/.config/pve/mobility.secret
features:
  description: What the account is for.
  returned: success
  type: list
  elements: str
  sample: [audit, migrate]
releases:
  description: Releases for which the rights are.
  returned: success
  type: list
  elements: str
  sample: ["9.1", "9.2"]
roles:
  description: Privileges by role.
  returned: success
  type: dict
  sample: {"mobility-vms": ["VM.Audit", "VM.Migrate"]}
acl:
  description: Which role is given on which path.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: The path., type: str, sample: /vms}
    role: {description: The role., type: str, sample: mobility-vms}
    propagate: {description: Whether it goes down to what is below., type: bool, sample: true}
    to:
      description: Who gets it.
      type: list
      elements: str
      sample: ["mobility@pve", "mobility@pve!ansible"]
steps:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
  sample: ["mend the role mobility-vms: add VM.Migrate"]
failure:
  description: Facts about a failure, to branch on.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(permission), V(invalid), V(conflict) (the account has other rights), V(unsupported) (no newest node in
          O(api_host)), V(no_quorum) or V(node_unreachable).
      type: str
      sample: conflict
    foreign:
      description: Other rights of the account.
      type: list
      elements: dict
      sample: [{"path": "/", "who": "mobility@pve", "role": "PVEAdmin"}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.execution.api_access import from_options
from ansible_collections.pve.mobility.plugins.module_utils.execution.api_access import run as keep
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import BY_NAME
from ansible_collections.pve.mobility.plugins.module_utils.surface import run, spec


def _list(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "list", "elements": kind, "default": [], **more}


def main() -> None:
    module = AnsibleModule(
        argument_spec=spec(
            features=_list("str", choices=list(BY_NAME)),
            user={"type": "str", "default": "mobility@pve"},
            # Names and places, which are no secrets.
            token={"type": "str", "default": "ansible", "no_log": False},
            role={"type": "str", "default": "mobility"},
            pools=_list("str"),
            guests=_list("int"),
            storages=_list("str"),
            privsep={"type": "bool", "default": True},
            expire={"type": "int", "default": 0},
            comment={"type": "str", "default": ""},
            exclusive={"type": "bool", "default": False},
            renew={"type": "bool", "default": False},
            secret_file={"type": "path", "no_log": False},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
        ),
        supports_check_mode=True,
    )

    def work(session: Session, _clock: Clock) -> dict[str, Any]:
        return keep(session, from_options(module.params), check=module.check_mode)

    run(module, work)


if __name__ == "__main__":
    main()
