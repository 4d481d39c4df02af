# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource pools, created and deleted (pve-manager API2/Pool.pm)."""

from __future__ import annotations

from lab.errors import Die
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.usercfg import Pool, UserCfg

POOLID = Param("poolid", format="pve-poolid")
_ALLOCATE = needs("/pool/{poolid}", "Pool.Allocate")


@route("POST", "/pools", POOLID, opt("comment"), permission=_ALLOCATE, protected=True)
def create_pool(call: Call) -> None:
    name = call["poolid"]

    def change(cfg: UserCfg) -> None:
        if name in cfg.pools:
            raise Die(f"pool '{name}' already exists")
        parent, _slash, leaf = name.rpartition("/")
        if parent and parent not in cfg.pools:
            raise Die(f"parent '{parent}' of pool '{name}' does not exist")
        if not leaf[0].isalpha():
            raise Die("pool name must start with a letter")
        cfg.pools[name] = Pool(comment=call.get("comment") or "")

    call.cluster.users.edit(change, call.node, "create pool failed")


@route("DELETE", "/pools", POOLID, permission=_ALLOCATE, protected=True)
def delete_pool(call: Call) -> None:
    name = call["poolid"]

    def change(cfg: UserCfg) -> None:
        if name not in cfg.pools:
            raise Die(f"pool '{name}' does not exist")
        inner = sorted(other for other in cfg.pools if other.rpartition("/")[0] == name)
        if inner:
            raise Die(f"pool '{name}' is not empty (contains pool '{inner[0].rpartition('/')[2]}')")
        for vmid in sorted(cfg.pools[name].vms, key=str):
            if call.cluster.guest(vmid) is not None:
                raise Die(f"pool '{name}' is not empty (contains VM {vmid})")
        for storage in sorted(cfg.pools[name].storage):
            if storage in call.cluster.storages.definitions():
                raise Die(f"pool '{name}' is not empty (contains storage '{storage}')")
        del cfg.pools[name]
        cfg.acl.pop(f"/pool/{name}", None)

    call.cluster.users.edit(change, call.node, "delete pool failed")
