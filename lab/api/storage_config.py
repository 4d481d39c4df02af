# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing storage.cfg: create, change and remove definitions (pve-storage API2/Storage/Config.pm, pve-facts §4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lab.zfs_shell  # noqa: F401  # pylint: disable=unused-import  # registers the shell's commands
from lab.api.storage import TYPE_NAMES
from lab.errors import Die
from lab.http.formats import format_check
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.formats import Section, print_section_config, split_list
from lab.pve.pmxcfs import assert_digest
from lab.pve.releases import knows_storage_option
from lab.pve.storage_place import appear, try_to_activate
from lab.pve.storage_types import TYPES, StorageType
from lab.pve.usercfg import UserCfg

FILE = "storage.cfg"
_LOCK = "file-storage_cfg"
_MAY_WRITE = needs("/storage", "Datastore.Allocate")
_SECRETS = frozenset({"password", "encryption-key", "keyring", "master-pubkey"})
"""Kept in files of their own, never in storage.cfg."""
_NOT_OPTIONS = frozenset({"storage", "type", "digest", "delete"})


@format_check("pve-storage-path")
def _path(value: str) -> None:
    if not value.startswith("/"):
        raise ValueError("value does not look like a valid absolute path")


@format_check("pve-storage-zfs-blocksize")
def _blocksize(value: str) -> None:
    number, unit = (value[:-1], value[-1].lower()) if value[-1:].isalpha() else (value, "")
    factor = {"": 1, "k": 2**10, "m": 2**20}.get(unit, 0)
    size = int(number) * factor if number.isdigit() else 0
    if not 512 <= size <= 16 * 2**20 or size & (size - 1):
        raise ValueError("value does not look like a valid ZFS block size")


_CHANGEABLE = (
    opt("blocksize", until=(9, 2)), opt("blocksize", format="pve-storage-zfs-blocksize", since=(9, 2)),
    opt("bwlimit", format="bwlimit"), opt("comstar_hg"), opt("comstar_tg"),
    opt("content", format="pve-storage-content-list"), opt("content-dirs"), opt("create-base-path", "boolean"),
    opt("create-subdirs", "boolean"), opt("data-pool"), opt("disable", "boolean"), opt("domain", max_length=256),
    opt("encryption-key"), opt("fingerprint", pattern="([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"),
    opt("format", enum=("raw", "qcow2", "subvol", "vmdk")), opt("fs-name", format="pve-configid"),
    opt("fuse", "boolean"), opt("is_mountpoint"), opt("keyring"), opt("krbd", "boolean"), opt("lio_tpg"),
    opt("master-pubkey"), opt("max-protected-backups", "integer", minimum=-1), opt("mkdir", "boolean"),
    opt("monhost"), opt("mountpoint", format="pve-storage-path"), opt("namespace"), opt("nocow", "boolean"),
    opt("nodes", format="pve-node-list"), opt("nowritecache", "boolean"), opt("options"),
    opt("password", max_length=256), opt("pool"), opt("port", "integer", minimum=1, maximum=65535),
    opt("preallocation", enum=("off", "metadata", "falloc", "full")), opt("prune-backups"),
    opt("saferemove", "boolean"),
    opt("saferemove-stepsize", "integer", enum=("1", "2", "4", "8", "16", "32"), since=(9, 0)),
    opt("saferemove_throughput"), opt("server"), opt("server2", until=(9, 0)), opt("shared", "boolean"),
    opt("skip-cert-verification", "boolean"),
    opt("smbversion", enum=("default", "2.0", "2.1", "3", "3.0", "3.11")),
    opt("snapshot-as-volume-chain", "boolean", since=(9, 0)), opt("sparse", "boolean"),
    opt("subdir", format="pve-storage-path"), opt("tagged_only", "boolean"), opt("transport", until=(9, 0)),
    opt("username"), opt("zfs-base-path", format="pve-storage-path", since=(9, 0)),
)  # fmt: skip
"""What both methods take: an option stays in the schema of PUT when any type may change it."""

_FIXED_EVERYWHERE = (
    opt("authsupported"), opt("base"), opt("datastore"), opt("export", format="pve-storage-path"),
    opt("iscsiprovider"), opt("path", format="pve-storage-path"), opt("portal"), opt("share"), opt("target"),
    opt("thinpool"), opt("vgname"), opt("volume", until=(9, 0)),
)  # fmt: skip


@route("POST", "/storage", Param("storage", format="pve-storage-id"),
       Param("type", enum=(*TYPE_NAMES, "glusterfs"), until=(9, 0)), Param("type", enum=TYPE_NAMES, since=(9, 0)),
       *_CHANGEABLE, *_FIXED_EVERYWHERE, permission=_MAY_WRITE, protected=True)  # fmt: skip
def create(call: Call) -> dict[str, Any]:
    """Activation on the node that serves the request is tried, and its failure keeps the definition out."""
    kind = TYPES[call["type"]]
    values = _checked(call, kind, creating=True)
    section = Section(kind.name, call["storage"], _ordered(kind, {"content": ",".join(kind.default_content)} | values))
    try:
        call.cluster.check_cfs_lock(call.node, _LOCK)
        known = call.cluster.storages.definitions()
        if section.id in known:
            raise Die(f"storage ID '{section.id}' already defined")
        before = call.cluster.fs.read(FILE)
        _write(call, {**known, section.id: section})
        appear(call.cluster, section)
        if kind.name == "zfspool" and "mountpoint" not in section.values:
            _detect_mountpoint(call, section)
        if call.cluster.storages.enabled(section.id, call.node.name):
            try:
                try_to_activate(call.cluster, section, call.node)
            except Die:
                call.cluster.fs.write(FILE, before or "")
                raise
    except Die as fault:
        raise Die(f"create storage failed: {fault.reason}") from fault
    return {"storage": section.id, "type": section.type}


@route("PUT", "/storage/{storage}", Param("storage", format="pve-storage-id"), *_CHANGEABLE,
       opt("delete", format="pve-configid-list", max_length=4096), opt("digest", max_length=64),
       permission=_MAY_WRITE, protected=True)  # fmt: skip
def update(call: Call) -> dict[str, Any]:
    try:
        call.cluster.check_cfs_lock(call.node, _LOCK)
        assert_digest(call.get("digest"), call.cluster.fs.read(FILE))
        section = call.cluster.storages.definition(call["storage"])
        kind = TYPES[section.type]
        given = _checked(call, kind, creating=False)
        values = section.values | given
        for key in split_list(call.get("delete")):
            _may_be_deleted(kind, key, given)
            values.pop(key, None)
        section = replace(section, values={key: value for key, value in values.items() if value != ""})
        section.values.setdefault("content", ",".join(kind.default_content))
        _write(call, {**call.cluster.storages.definitions(), section.id: section})
    except Die as fault:
        raise Die(f"update storage failed: {fault.reason}") from fault
    appear(call.cluster, section)
    return {"storage": section.id, "type": section.type}


@route("DELETE", "/storage/{storage}", Param("storage", format="pve-storage-id"), permission=_MAY_WRITE,
       protected=True)  # fmt: skip
def delete(call: Call) -> None:
    """Only the definition goes; data stays, and nobody asks whether guests use it."""
    try:
        call.cluster.check_cfs_lock(call.node, _LOCK)
        storage = call.cluster.storages.definition(call["storage"]).id
        left = {name: item for name, item in call.cluster.storages.definitions().items() if name != storage}
        if any(item.values.get("base", "").partition(":")[0] == storage for item in left.values()):
            raise Die("can't remove storage - storage is used as base of another storage")
        _write(call, left)
    except Die as fault:
        raise Die(f"delete storage failed: {fault.reason}") from fault
    _forget_access(call, storage)


def _forget_access(call: Call, storage: str) -> None:
    """AccessControl.pm:remove_storage_access."""

    def change(cfg: UserCfg) -> None:
        cfg.acl.pop(f"/storage/{storage}", None)

    call.cluster.users.edit(change)


# ---------------------------------------------------------------- values


def _checked(call: Call, kind: StorageType, creating: bool) -> dict[str, str]:
    """The plugin's own look at the options (SectionConfig.pm:check_config).

    :raises Die: for an option that the type does not have, that is missing, or that cannot change.
    """
    values: dict[str, str] = {}
    for key, value in call.params.items():
        if key in _NOT_OPTIONS:
            continue
        if key not in kind.options:
            raise Die(f"unexpected property '{key}'")
        if not creating and key in kind.fixed:
            raise Die(f"can't change value of fixed parameter '{key}'")
        if key not in _SECRETS:
            values[key] = ",".join(split_list(value)) if key in {"content", "nodes"} else str(value)
    if creating:
        for key in kind.required:
            if key not in values:
                raise Die(f"missing value for required option '{key}'")
        values = {key: value for key, value in values.items() if value != ""}
    if values.get("disable") == "0":
        values["disable"] = ""
    return values


def _may_be_deleted(kind: StorageType, key: str, given: dict[str, str]) -> None:
    if key not in kind.options:
        raise Die(f"no such option '{key}'")
    if key in kind.required:
        raise Die(f"unable to delete required option '{key}'")
    if key in kind.fixed:
        raise Die(f"unable to delete fixed option '{key}'")
    if key in given:
        raise Die(f"cannot set and delete property '{key}' at the same time!")


def _ordered(kind: StorageType, values: dict[str, str]) -> dict[str, str]:
    """Fixed options first, then the content, then the rest, as Proxmox VE writes them."""
    first = {key: values[key] for key in (*kind.fixed, "content") if key in values}
    return first | {key: value for key, value in sorted(values.items()) if key not in first and value != ""}


def _detect_mountpoint(call: Call, section: Section) -> None:
    """ZFSPoolPlugin.pm:on_add_hook asks ZFS where the dataset is mounted, and does without an answer."""
    pool = section.values["pool"]
    if call.cluster.storages.local(call.node.name, pool) is None:
        return
    section.values["mountpoint"] = f"/{pool}"
    _write(call, {**call.cluster.storages.definitions(), section.id: section})


def _write(call: Call, sections: dict[str, Section]) -> None:
    """What the node that writes cannot read is lost, in every section."""
    release = call.node.release
    known = [
        replace(item, values={key: value for key, value in item.values.items() if knows_storage_option(release, key)})
        for item in sections.values()
    ]
    call.cluster.fs.write(FILE, print_section_config(known))
