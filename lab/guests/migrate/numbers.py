# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as dd and zfs print them."""

from __future__ import annotations


def dd_line(done: float, seconds: float, final: bool = False) -> str:
    """``149782528 bytes (150 MB, 143 MiB) copied, 3 s, 49.9 MB/s``."""
    count = int(done)
    elapsed = f"{seconds:.6g}" if final else f"{int(seconds)}"
    decimal = _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB"))
    binary = _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    return f"{count} bytes ({decimal}, {binary}) copied, {elapsed} s, {_rate(done / max(seconds, 1e-6))}"


def _scaled(count: int, base: int, units: tuple[str, ...]) -> str:
    value = float(count)
    for unit in units:
        if value < base or unit == units[-1]:
            return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"
        value /= base
    raise AssertionError("unreachable")


def _rate(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.1f} {unit}/s" if value < 100 else f"{value:.0f} {unit}/s"
        value /= 1000
    raise AssertionError("unreachable")


def zfs_size(count: float) -> str:
    """Three significant digits and a letter (libzfs zfs_nicenum): ``624B``, ``80K``, ``1.98M``."""
    value = float(int(count))
    for unit in ("B", "K", "M", "G", "T", "P"):
        if value < 1024 or unit == "P":
            if value == int(value):
                return f"{int(value)}{unit}"
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f}{unit}"
        value /= 1024
    raise AssertionError("unreachable")
