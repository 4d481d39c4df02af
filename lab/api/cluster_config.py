# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of what the cluster is configured to do: backup jobs, VNets, resource pools."""

from __future__ import annotations

from typing import Any

from lab.errors import Die
from lab.http.router import Call, opt, route
from lab.http.router import check as needs
from lab.pve.formats import parse_section_config
from lab.pve.pmxcfs import digest
from lab.pve.resources import Resources

_NUMBERS = frozenset({"all", "enabled", "compress-level", "maxfiles", "zstd", "pigz", "bwlimit", "ionice", "lockwait",
                      "tag", "vlanaware", "isolate-ports"})  # fmt: skip


def _typed(values: dict[str, str]) -> dict[str, Any]:
    return {key: int(value) if key in _NUMBERS and value.isdigit() else value for key, value in values.items()}


@route("GET", "/cluster/backup", permission=needs("/", "Sys.Audit"))
def backup_jobs(call: Call) -> list[dict[str, Any]]:
    sections = call.cluster.fs.parsed("jobs.cfg", parse_section_config)
    rows = []
    for name, section in sections.items():
        if section.type == "vzdump":
            rows.append({"id": name, "type": "vzdump", "mode": "snapshot"} | _typed(section.values))
    return rows


@route("GET", "/cluster/sdn", permission=needs("/sdn", "SDN.Audit"))
def sdn_index(_call: Call) -> list[dict[str, str]]:
    return [{"id": name} for name in ("vnets", "zones", "controllers", "ipams", "dns")]


@route("GET", "/cluster/sdn/vnets", opt("pending", "boolean"), opt("running", "boolean"))
def vnets(call: Call) -> list[dict[str, Any]]:
    text = call.cluster.fs.read("sdn/vnets.cfg")
    rows = []
    for name, section in call.cluster.fs.parsed("sdn/vnets.cfg", parse_section_config).items():
        zone = section.values["zone"]
        if call.may(f"/sdn/zones/{zone}/{name}", "SDN.Audit", "SDN.Allocate", any_of=True):
            rows.append({"vnet": name, "type": "vnet", "digest": digest(text)} | _typed(section.values))
    return rows


@route("GET", "/cluster/sdn/zones", opt("pending", "boolean"), opt("running", "boolean"),
       opt("type", enum=("evpn", "faucet", "qinq", "simple", "vlan", "vxlan")))  # fmt: skip
def zones(call: Call) -> list[dict[str, Any]]:
    text = call.cluster.fs.read("sdn/zones.cfg")
    rows = []
    for name, section in call.cluster.fs.parsed("sdn/zones.cfg", parse_section_config).items():
        if call.get("type", section.type) == section.type and call.may(
            f"/sdn/zones/{name}", "SDN.Audit", "SDN.Allocate", any_of=True
        ):
            rows.append({"zone": name, "type": section.type, "digest": digest(text)} | _typed(section.values))
    return rows


@route("GET", "/pools", opt("poolid", format="pve-poolid"), opt("type", enum=("qemu", "lxc", "storage")))
def pools(call: Call) -> list[dict[str, Any]]:
    found = call.cluster.users.cfg.pools
    wanted = call.get("poolid")
    if wanted is not None and wanted not in found:
        raise Die(f"pool '{wanted}' does not exist")
    rows = []
    for name, pool in found.items():
        if wanted not in (None, name) or not call.may(f"/pool/{name}", "Pool.Audit"):
            continue
        row: dict[str, Any] = {"poolid": name}
        if pool.comment:
            row["comment"] = pool.comment
        if wanted is not None:
            row["members"] = _members(call, set(pool.vms), set(pool.storage))
        rows.append(row)
    return rows


def _members(call: Call, vms: set[int], storages: set[str]) -> list[dict[str, Any]]:
    rows = Resources(call.cluster, call.node, call.worker)
    wanted = call.get("type")
    found = [row for row in rows.guests(lambda *_path: True) if row["vmid"] in vms]
    found += [row for row in rows.storages(lambda *_path: True) if row["storage"] in storages]
    return [row for row in found if wanted in (None, row["type"])]
