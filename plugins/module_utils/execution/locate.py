# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding guests and nodes by what users call them."""

from __future__ import annotations

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, NotFound
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.cluster import Guest, Node, Resources, resources
from ansible_collections.pve.mobility.plugins.module_utils.model.meant import meant


def read_resources(session: Session) -> Resources:
    """One request."""
    return resources(session.get("/cluster/resources"))


def find_guest(seen: Resources, wanted: str) -> Guest:
    """By vmid, or by a name that is unique.

    :raises NotFound: no such guest, or it may not be seen. :raises Invalid: several guests have the name.
    """
    if wanted.isdigit():
        guest = seen.guest(int(wanted))
        if guest is None:
            raise NotFound(
                f"There is no guest {wanted} in the cluster, or the user may not see it (VM.Audit on /vms/{wanted}).",
                path=f"/vms/{wanted}",
                privileges=["VM.Audit"],
            )
        return guest
    found = seen.named(wanted)
    if len(found) > 1:
        listed = ", ".join(f"{guest.vmid} on {guest.node}" for guest in found)
        raise Invalid(f"The name {wanted} is not unique: {listed}. Give the vmid.")
    if not found:
        hint = meant(wanted, (guest.name for guest in seen.guests if guest.name))
        raise NotFound(f"No guest is called {wanted}, or the user may not see it (VM.Audit).{hint}")
    return found[0]


def find_node(seen: Resources, name: str) -> Node:
    """:raises NotFound: the cluster has no such node."""
    node = seen.node(name)
    if node is None:
        names = ", ".join(node.name for node in seen.nodes) or "none that the user may see"
        raise NotFound(f"The cluster has no node {name}; its nodes are: {names}.")
    return node
