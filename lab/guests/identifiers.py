# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and UUIDs of guests: made up, but the same in every run."""

from __future__ import annotations

import hashlib


def mac(vmid: int, index: int) -> str:
    """A locally unique address below Proxmox VE's prefix, the same in every run."""
    number = hashlib.sha1(f"{vmid}.{index}".encode()).hexdigest()[:6].upper()
    return f"BC:24:11:{number[:2]}:{number[2:4]}:{number[4:6]}"


def uuid(vmid: int, purpose: str) -> str:
    text = hashlib.sha1(f"{vmid}.{purpose}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"
