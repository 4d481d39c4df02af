# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading what a migration network is judged by: interfaces of every node, and corosync's links.

Requests: 4 for the cluster, 1 for each node that is online.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.checks.migration_network import NodeNetwork
from ansible_collections.pve.mobility.plugins.module_utils.execution.reader import Reader
from ansible_collections.pve.mobility.plugins.module_utils.execution.rights import Rights
from ansible_collections.pve.mobility.plugins.module_utils.model.network import corosync_links, interfaces


def node_networks(session: Session) -> tuple[NodeNetwork, ...]:
    """Every node of the cluster; what cannot be read of one is said in it.

    :raises MobilityError: the cluster itself cannot be read.
    """
    status = session.get("/cluster/status") or ()
    addresses = {str(row["name"]): str(row.get("ip") or "") for row in status if row.get("type") == "node"}
    online = {str(row["node"]) for row in session.get("/nodes") or () if row.get("status") == "online"}
    rows = {str(row.get("node") or row.get("name")): row for row in session.get("/cluster/config/nodes") or ()}
    rights = Rights(session.get("/access/permissions") or {})
    hidden = not rights.may("/sdn/zones/localnetwork", "SDN.Audit", "SDN.Use")
    found: dict[str, Any] = {}
    with Reader(session) as reader:

        def one(name: str) -> Callable[[], None]:
            def read() -> None:
                found[name] = reader.get("interfaces", f"/nodes/{name}/network", node=name)

            return read

        reader.each([one(name) for name in sorted(online)])
        unknown = {str(item.node): item.why.rstrip(".") for item in reader.unknown}
        unknown |= {name: reader.why_dead(name).rstrip(".") for name in online if reader.dead(name)}
    return tuple(
        NodeNetwork(
            name,
            interfaces(found[name]) if found.get(name) is not None else None,
            corosync_links(rows.get(name, {}), addresses[name]),
            unknown.get(name, "it did not answer" if name in online else "it is offline"),
            hidden,
        )
        for name in sorted(addresses)
    )
