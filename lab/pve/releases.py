# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of Proxmox VE knows and lacks (pve-facts §8 and §12)."""

from __future__ import annotations

from dataclasses import dataclass

Release = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Profile:
    """Versions that came with a release, and the newest QEMU machine it can run.

    :ivar machine_level: the highest ``+pveN`` of that machine version.
    """

    release: Release
    version: str
    repoid: str
    qemu: str
    kernel: str
    machine: tuple[int, int]
    machine_level: int
    packages: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return f"{self.release[0]}.{self.release[1]}"


_COMMON = ("proxmox-ve", "pve-manager", "qemu-server", "pve-qemu-kvm", "pve-container", "libpve-storage-perl")


def _packages(*versions: str) -> tuple[tuple[str, str], ...]:
    names = (
        *_COMMON,
        "libpve-guest-common-perl",
        "libpve-access-control",
        "libpve-common-perl",
        "libpve-http-server-perl",
        "pve-cluster",
        "pve-ha-manager",
        "corosync",
        "ceph-fuse",
        "zfsutils-linux",
    )
    return tuple(zip(names, versions, strict=True))


PROFILES: dict[Release, Profile] = {
    profile.release: profile
    for profile in (
        Profile(
            (8, 4), "8.4.14", "b502d23c55afcba1", "9.2.0", "6.8.12-15-pve", (9, 2), 1,
            _packages("8.4.0", "8.4.14", "8.4.4", "9.2.0-7", "5.3.3", "8.3.7", "5.2.2", "8.2.2", "8.3.4", "5.2.2",
                      "8.1.2", "4.0.7", "3.1.9-pve1", "17.2.8-pve2", "2.2.8-pve1"),
        ),
        Profile(
            (9, 0), "9.0.11", "3bf5476b8a4699e2", "10.0.2", "6.14.11-4-pve", (10, 0), 1,
            _packages("9.0.0", "9.0.11", "9.0.23", "10.0.2-4", "6.0.13", "9.0.13", "6.0.2", "9.0.3", "9.0.11", "6.0.4",
                      "9.0.6", "5.0.5", "3.1.9-pve2", "19.2.3-pve2", "2.3.4-pve1"),
        ),
        Profile(
            (9, 1), "9.1.4", "5ac30304265fbd8e", "10.1.2", "6.17.4-1-pve", (10, 1), 0,
            _packages("9.1.0", "9.1.4", "9.1.2", "10.1.2-4", "6.0.18", "9.1.0", "6.0.2", "9.0.4", "9.1.1", "6.0.5",
                      "9.0.7", "5.0.8", "3.1.9-pve2", "19.2.3-pve2", "2.3.4-pve1"),
        ),
        Profile(
            (9, 2), "9.2.11", "14a22df3", "11.0.0", "7.0.2-1-pve", (11, 0), 0,
            _packages("9.2.0", "9.2.11", "9.2.6", "11.0.0-2", "6.1.10", "9.1.7", "6.0.2", "9.1.1", "9.2.1", "6.0.5",
                      "9.1.6", "5.2.5", "3.1.10-pve1", "19.2.3-pve4", "2.4.1-pve1"),
        ),
    )
}  # fmt: skip
NEWEST = max(PROFILES)
OLDEST = min(PROFILES)


def profile(release: Release) -> Profile:
    """The profile of a release; one that is newer than all known counts as the newest, in between as the one below."""
    known = [item for item in PROFILES if item <= release]
    return PROFILES[max(known)] if known else PROFILES[OLDEST]


MACHINE_VERSIONS: tuple[tuple[int, int], ...] = (
    *((major, minor) for major in range(6, 10) for minor in range(3)),
    (10, 0), (10, 1), (10, 2), (11, 0),
)  # fmt: skip
_LEVELS = {(9, 2): 1, (10, 0): 1}


def machines(release: Release) -> list[tuple[tuple[int, int], int]]:
    """``(version, pve level)`` that a release can run, newest first."""
    newest = profile(release).machine
    rows: list[tuple[tuple[int, int], int]] = []
    for version in MACHINE_VERSIONS:
        if version <= newest:
            top = profile(release).machine_level if version == newest else _LEVELS.get(version, 0)
            rows += [(version, level) for level in range(top + 1)]
    return rows[::-1]


# ---------------------------------------------------------------- datacenter.cfg

_CRS_OLD = frozenset({"ha", "ha-rebalance-on-start"})
_CRS_NEW = _CRS_OLD | {
    "ha-auto-rebalance", "ha-auto-rebalance-threshold", "ha-auto-rebalance-method",
    "ha-auto-rebalance-hold-duration", "ha-auto-rebalance-margin",
}  # fmt: skip


def knows_option(release: Release, key: str, values: dict[str, str]) -> bool:
    """Whether a node of ``release`` can read a key of datacenter.cfg with these sub-keys.

    What it cannot read it drops on read, and so loses on its next write (pve-facts §5).
    """
    match key:
        case "replication":
            return release >= (9, 0)
        case "location":
            return release >= (9, 2)
        case "crs":
            known = _CRS_NEW if release >= (9, 2) else _CRS_OLD
            return set(values) <= known and (release >= (9, 2) or values.get("ha") != "dynamic")
    return True


# ---------------------------------------------------------------- storage.cfg

_STORAGE_SINCE = {"snapshot-as-volume-chain": (9, 0), "zfs-base-path": (9, 0), "saferemove-stepsize": (9, 0)}


def knows_storage_option(release: Release, key: str) -> bool:
    """Whether a node of ``release`` can read an option of storage.cfg; it loses others when it writes the file."""
    return release >= _STORAGE_SINCE.get(key, (0, 0))
