# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user may see: many lists of the API leave out silently what one may not see (pve-facts §4, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session


@dataclass(frozen=True, slots=True)
class Rights:
    """``GET /access/permissions``: privileges by path, 1 where they go down to the paths below."""

    paths: Mapping[str, Mapping[str, Any]]

    def may(self, path: str, *privileges: str) -> bool:
        """Whether any of the privileges holds on the path."""
        granted = self._on(path)
        return any(privilege in granted for privilege in privileges)

    def _on(self, path: str) -> set[str]:
        if path in self.paths:
            return set(self.paths[path])
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            if path in self.paths:
                return {name for name, propagate in self.paths[path].items() if int(propagate or 0)}
        return set()


def require(session: Session, path: str, privilege: str, purpose: str) -> None:
    """One request, before a write, so that check mode finds what a real run would.

    :param purpose: ``to write datacenter.cfg``. :raises PermissionDenied: it is missing.
    """
    if not Rights(session.get("/access/permissions", {"path": path}) or {}).may(path, privilege):
        raise PermissionDenied(
            f"Permission is missing {purpose}: {privilege} on {path}. Give a role with it to the user, and to the token"
            " too when it has privilege separation. Nothing was changed.",
            path=path,
            privileges=[privilege],
        )


@dataclass(frozen=True, slots=True)
class Shortened:
    """A part whose list is shortened for those who lack the privileges, any one of which is enough."""

    part: str
    path: str
    privileges: tuple[str, ...]


SHORTENED = (
    Shortened("guests", "/vms", ("VM.Audit",)),
    Shortened("guest_configs", "/vms", ("VM.Audit",)),
    Shortened("running", "/vms", ("VM.Audit",)),
    Shortened("replication", "/vms", ("VM.Audit",)),
    Shortened("storages", "/storage", ("Datastore.Audit", "Datastore.AllocateSpace")),
    Shortened("options", "/", ("Sys.Audit",)),
    Shortened("tasks", "/nodes", ("Sys.Audit",)),
    Shortened("history", "/nodes", ("Sys.Audit",)),
    Shortened("network", "/sdn/zones", ("SDN.Audit", "SDN.Allocate")),
    Shortened("node_facts.interfaces", "/sdn/zones/localnetwork", ("SDN.Audit", "SDN.Use")),
    Shortened("mappings.pci", "/mapping/pci", ("Mapping.Audit", "Mapping.Use", "Mapping.Modify")),
    Shortened("mappings.usb", "/mapping/usb", ("Mapping.Audit", "Mapping.Use", "Mapping.Modify")),
    Shortened("mappings.dir", "/mapping/dir", ("Mapping.Audit", "Mapping.Use", "Mapping.Modify")),
)
