# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage plugins: what each type can hold, in which formats, and which options it has (pve-facts §4)."""

from __future__ import annotations

from dataclasses import dataclass, field

Release = tuple[int, int]

ALL_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import")
_DISK = ("images", "rootdir")
_EVERYWHERE = ("nodes", "disable", "content", "shared", "bwlimit")
_FILES = (
    "prune-backups", "max-protected-backups", "format", "preallocation", "content-dirs", "create-base-path",
    "create-subdirs", "mkdir", "is_mountpoint", "snapshot-as-volume-chain",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StorageType:
    """One plugin.

    :ivar content: what it can hold; :ivar default_content: what it holds unless told.
    :ivar fixed: options that cannot change after creation; :ivar required: the fixed ones that must be given.
    :ivar options: every option it knows. :ivar formats: disk formats; :ivar default_format: of new disks.
    :ivar files: volumes are files below ``images/<vmid>/``. :ivar thin: volumes take only what they use.
    :ivar shared: the plugin itself says that all nodes see the same.
    """

    name: str
    content: tuple[str, ...]
    default_content: tuple[str, ...]
    fixed: tuple[str, ...]
    required: tuple[str, ...]
    options: frozenset[str]
    formats: tuple[str, ...] = ("raw",)
    default_format: str = "raw"
    files: bool = False
    thin: bool = True
    shared: bool = False
    until: Release = (99, 0)
    flags: frozenset[str] = field(default_factory=frozenset)


def _type(
    name: str,
    content: tuple[str, ...],
    fixed: str,
    more: str,
    *,
    default: tuple[str, ...] = ("images", "rootdir"),
    required: str | None = None,
    formats: tuple[str, ...] = ("raw",),
    files: bool = False,
    thin: bool = True,
    shared: bool = False,
    without: str = "",
    until: Release = (99, 0),
) -> StorageType:
    fixed_keys = tuple(fixed.split())
    options = {*_EVERYWHERE, *(_FILES if files else ()), *fixed_keys, *more.split()} - set(without.split())
    needed = fixed_keys if required is None else tuple(required.split())
    return StorageType(
        name, content, default, fixed_keys, needed, frozenset(options), formats, "raw", files, thin, shared, until
    )


_FILE_FORMATS = ("qcow2", "raw", "subvol", "vmdk")
_NET_FORMATS = ("qcow2", "raw", "vmdk")
_FILE_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import")

TYPES: dict[str, StorageType] = {
    item.name: item
    for item in (
        _type("dir", _FILE_CONTENT, "path snapshot-as-volume-chain", "", required="path", formats=_FILE_FORMATS,
              files=True),
        _type("btrfs", _FILE_CONTENT, "path", "nocow", formats=("raw", "subvol"), files=True, without="bwlimit"),
        _type("nfs", _FILE_CONTENT, "path server export snapshot-as-volume-chain", "options",
              required="server export", default=("images",), formats=_NET_FORMATS, files=True, shared=True,
              without="shared"),
        _type("cifs", _FILE_CONTENT, "path server share snapshot-as-volume-chain",
              "username password domain smbversion subdir options", required="server share", default=("images",),
              formats=_NET_FORMATS, files=True, shared=True, without="shared"),
        _type("cephfs", ("vztmpl", "iso", "backup", "snippets", "none", "import"), "path",
              "monhost username keyring fuse subdir fs-name", required="", default=("backup",), files=True,
              shared=True, without="shared format preallocation snapshot-as-volume-chain"),
        _type("glusterfs", _FILE_CONTENT, "path server volume", "server2 transport", required="volume",
              default=("images",), formats=_NET_FORMATS, files=True, shared=True, until=(9, 0), without="shared"),
        _type("zfspool", _DISK, "pool", "blocksize sparse mountpoint", formats=("raw", "subvol"), without="shared"),
        _type("lvm", _DISK, "vgname base",
              "saferemove saferemove_throughput saferemove-stepsize tagged_only snapshot-as-volume-chain",
              required="vgname", formats=("raw", "qcow2"), thin=False),
        _type("lvmthin", _DISK, "thinpool vgname", "", without="shared"),
        _type("rbd", _DISK, "", "pool monhost username krbd keyring namespace data-pool", required="pool",
              default=("images",), shared=True, without="shared"),
        _type("zfs", ("images",), "portal target pool blocksize iscsiprovider",
              "sparse nowritecache comstar_hg comstar_tg lio_tpg zfs-base-path", default=("images",), shared=True,
              without="shared"),
        _type("iscsi", ("images", "none"), "portal target", "", default=("images",), shared=True, thin=False,
              without="shared bwlimit"),
        _type("iscsidirect", ("images", "none"), "portal target", "", default=("images",), shared=True, thin=False,
              without="shared bwlimit"),
        _type("pbs", ("backup", "none"), "server datastore",
              "port username password fingerprint encryption-key master-pubkey namespace prune-backups "
              "max-protected-backups keyring", default=("backup",), shared=True, without="shared bwlimit"),
        _type("esxi", ("import",), "server", "username password skip-cert-verification port", default=("import",),
              shared=True, without="shared bwlimit"),
    )
}  # fmt: skip

BOOLEANS = frozenset({
    "shared", "disable", "sparse", "mkdir", "create-base-path", "create-subdirs", "saferemove", "tagged_only", "krbd",
    "fuse", "nocow", "nowritecache", "snapshot-as-volume-chain", "skip-cert-verification",
})  # fmt: skip
"""Options that are integers 0 or 1 in answers."""


SHARED_BY_TYPE = frozenset(item.name for item in TYPES.values() if item.shared) | {"drbd"}
"""Types whose definitions answer ``shared: 1`` though storage.cfg does not say it (Plugin.pm:@SHARED_STORAGE)."""


def storage_type(name: str) -> StorageType:
    """The plugin of that name; an unknown one counts as a directory."""
    return TYPES.get(name, TYPES["dir"])
