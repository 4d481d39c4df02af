# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/`` and ``/version``."""

from __future__ import annotations

from typing import Any

from lab.http.router import Call, route


@route("GET", "/")
def root(_call: Call) -> list[dict[str, str]]:
    return [{"subdir": name} for name in ("version", "cluster", "nodes", "storage", "access", "pools")]


@route("GET", "/version")
def version(call: Call) -> dict[str, Any]:
    node = call.node
    return {"release": f"{node.release[0]}.{node.release[1]}", "repoid": node.repoid, "version": node.version}
