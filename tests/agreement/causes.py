# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which words of Proxmox VE a finding shows to have been right (pve-facts §1, §5.1, §7)."""

from __future__ import annotations

import re

NO_SSH = r"Can't connect to destination address|no answer|No route to host"

NO_WAY_BACK = r"could not get migration ip|could not get IP|failed to get ip"
WONT_START = r"remote command failed|start failed"

CAUSES: dict[str, str] = {
    "quorum-lost": r"no quorum|not ready",
    "node-offline": NO_SSH + r"|not online",
    "source-offline": r"HTTP 595|no answer",
    # A container that is locked cannot be shut down for its move either.
    "guest-locked": r"(?:VM|CT) is locked|can't migrate running container without",
    # Nor can a VM be stopped for its move meanwhile.
    "task-running": r"(?:VM|CT) is locked|can't lock file|can't migrate running VM without",
    "machine-too-new": r"is too old to run machine type",
    "target-too-old": r"is too old for preserving VirtIO-net MTU",
    "cpu-flags": r"host doesn't support requested feature",
    "memory-too-big": r"Cannot allocate memory",
    "cpu-too-many": r"MAX \d+ vcpus allowed",
    "bridge-missing": r"bridge '\S+' does not exist",
    "vlan-refused": r"vlan aware feature need to be enabled|no physical interface on bridge",
    "nic-mtu": r"is bigger than the bridge MTU",
    "network-no-address": NO_WAY_BACK,
    "network-many-addresses": NO_WAY_BACK,
    "node-maintenance": r"not online",
    "passthrough": r"uses local devices|uses following mapped devices",
    "virtiofs-live": r"uses local devices: .*virtiofs|uses following mapped devices: .*virtiofs",
    "confidential": r"uses local devices: .*(?:amd-sev|intel-tdx)",
    "clipboard": r"machine versions older than 10\.1|uses local devices: .*clipboard",
    "hookscript-local": r"hookscript error|script '\S+' does not exist",
    "mapping-missing": r"missing mapped devices|device mapping not found",
    "storage-not-on-target": r"is not available on node|is disabled",
    "volume-missing": r"unable to determine size for volume|volume '\S+' does not exist|owned by other guest",
    "space-unsure": r"out of space|no space left|not enough free space",
    "storage-missing": r"storage '\S+' does not exist",
    "storage-not-on-source": r"is not available on node|is disabled",
    "storage-inactive": r"not online|could not activate|is not active|unreachable|not mounted"
    r"|no such (?:pool|volume group)",
    "storage-content": r"content type '\w+' is not available on storage|does not support (?:vm images|CT rootdirs)",
    "local-path": r"local file/device|cannot migrate local \w+ mount point",
    "cloudinit-name": r"already exists",
    "space": r"out of space|no space left|not enough free space",
    "format-mismatch": r"cannot migrate from storage type|unsupported format",
    "storage-type": r"storage type '\w+' not supported",
    "snapshot-live": r"non-replicated snapshot exists|non-migratable snapshot exists",
    "snapshot-type": r"non-migratable snapshot exists|cannot migrate from storage type|unsupported format",
    "linked-clone": r"as it's a clone of|: clone of",
    "has-clones": r"referenced by linked clone",
    "local-media": r"local cdrom image|can't migrate local cdrom drive",
    "local-disk": r"without with-local-disks option",
    "replica-missing": r"not a replication target",
    "replica-impossible": r"unable to replicate|missing replicate feature",
    "replica-removal": r"marked for removal",
    "ha-rule": r"negative affinity|cannot migrate resource",
    "ha-node-affinity": r"migrate service '\S+' to node '\S+' \(running\)|relocate service",
    "ha-would-stop": r"stopping service|from 'request_stop' to 'stopped'",
    "ha-error": r"in error state|is error on",
    "ha-recovering": r"is (?:fence|recovery) on",
    "ha-no-quorum": r"no quorum",
    "ha-node-state": r"not online",
    "ha-disarmed": r"is freeze on",
}


def shows(kind: str, text: str) -> bool:
    """Whether the outcome's text has the cause that a finding of this kind predicts."""
    pattern = CAUSES.get(kind)
    return pattern is not None and re.search(pattern, text) is not None
