# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names for the kinds of text in a snapshot, so that :mod:`anonymize` knows what to replace and what to keep.

Text without one of these types is a word of Proxmox VE itself (a state, a type, a version) and stays as it is.
"""

from __future__ import annotations

from typing import Annotated

NodeName = Annotated[str, "node"]
GuestName = Annotated[str, "guest"]
StorageName = Annotated[str, "storage"]
ClusterName = Annotated[str, "cluster"]
PoolName = Annotated[str, "pool"]
Tag = Annotated[str, "tag"]
BridgeName = Annotated[str, "bridge"]
ZoneName = Annotated[str, "zone"]
MappingName = Annotated[str, "mapping"]
RuleName = Annotated[str, "rule"]
UserName = Annotated[str, "user"]
JobName = Annotated[str, "job"]
SnapshotName = Annotated[str, "snapshot"]
CpuName = Annotated[str, "cpu"]
"""A CPU model; those that administrators made themselves are called ``custom-NAME``."""
Address = Annotated[str, "address"]
"""An IP address, a network (CIDR) or a MAC."""
VolumeId = Annotated[str, "volume"]
"""``storage:volume``, ``none``, ``cdrom`` or a path."""
Path = Annotated[str, "path"]
"""A directory, a pool, a dataset: names with slashes between them."""
TaskId = Annotated[str, "upid"]
TaskSubject = Annotated[str, "subject"]
"""What a task is about: mostly the number of a guest, else the name of anything."""
Comment = Annotated[str, "comment"]
"""Written by people for people: may hold anything."""
Sentence = Annotated[str, "sentence"]
"""Made by programs: may hold any of the names above."""
