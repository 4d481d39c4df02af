# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user may see: many lists of the API leave out silently what one may not see (pve-facts §4, §5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError, NotFound, PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import GUESTS, Lack, Need, needs_of

ALSO = {
    "Datastore.Audit": ("Datastore.AllocateSpace",),
    "SDN.Audit": ("SDN.Allocate", "SDN.Use"),
    "Mapping.Audit": ("Mapping.Use", "Mapping.Modify"),
}
"""What lets one see as well."""
FIX = "Give a role with it to the user, and to the token too when it has privilege separation"


@dataclass(frozen=True, slots=True)
class Rights:
    """``GET /access/permissions``: privileges by path, 1 where they go down to the paths below."""

    paths: Mapping[str, Mapping[str, Any]]

    def may(self, path: str, *privileges: str) -> bool:
        """Whether any of the privileges holds on the path."""
        granted = self._on(path)
        return any(privilege in granted for privilege in privileges)

    def lacking(self, path: str, *privileges: str) -> str | None:
        """Where none of the privileges holds: on the path, or on one below it that has an entry of its own.

        Of paths on which one may nothing at all (``NoAccess``) Proxmox VE does not tell.
        """
        below = (name for name in self.paths if path != "/" and name.startswith(f"{path}/"))
        return next((name for name in (path, *sorted(below)) if not self.may(name, *privileges)), None)

    def _on(self, path: str) -> set[str]:
        if path in self.paths:
            return set(self.paths[path])
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            if path in self.paths:
                return {name for name, propagate in self.paths[path].items() if int(propagate or 0)}
        return set()


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


def read_rights(session: Session) -> Rights:
    """One request."""
    return Rights(session.get("/access/permissions") or {})


def require(rights: Rights, uses: Iterable[str], why: str, **names: Iterable[Any]) -> None:
    """Before the first write, and in check mode: everything without which these uses of the table fail.

    :param why: goes on after "is needed".
    :param names: what the names in braces stand for, such as ``vmid=[100, 101]``.
    :raises PermissionDenied: names the first that is missing.
    """
    found = [
        (_where(rights, need, path), need.privilege)
        for need in needs_of(uses)
        if need.lack is Lack.FAILS and need.since is None and need.until is None
        for path in _paths(need, names)
    ]
    missing = [(path, privilege) for path, privilege in found if path is not None]
    if missing:
        path, privilege = missing[0]
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise PermissionDenied(
            f"Permission is missing: {privilege} on {path}{more} is needed {why}. {FIX}. Nothing was changed.",
            path=path,
            privileges=[privilege],
            missing=[{"path": where, "privilege": name} for where, name in missing],
        )


def hidden(rights: Rights, *uses: str) -> list[str]:
    """A sentence for each part that a result lacks by the lack of a privilege."""
    found = [(need, _where(rights, need, need.path)) for need in needs_of(uses) if need.lack is Lack.UNKNOWN]
    return [
        f"{need.path}: what is there may be incomplete, because {need.privilege} on {path} is missing."
        for need, path in found
        if path is not None
    ]


def _where(rights: Rights, need: Need, path: str) -> str | None:
    """Where it is missing: all guests are meant, and all that is to be seen; what else is for all is on one path."""
    enough = (need.privilege, *ALSO.get(need.privilege, ()))
    if need.reads or path == GUESTS:
        return rights.lacking(path, *enough)
    return None if rights.may(path, *enough) else path


def _paths(need: Need, names: Mapping[str, Iterable[Any]]) -> Iterator[str]:
    head, brace, tail = need.path.partition("{")
    if not brace:
        yield need.path
        return
    for name in names.get(tail.rstrip("}"), ()):
        yield f"{head}{name}"


def explained(session: Session, error: MobilityError) -> MobilityError:
    """What one may not see does not seem to exist: says so when that may be the cause. One request, and only then."""
    path, privileges = error.details.get("path"), error.details.get("privileges")
    if not isinstance(error, NotFound) or not path or not privileges:
        return error
    rights = Rights(session.get("/access/permissions", {"path": path}) or {})
    if rights.may(path, *privileges):
        return error
    return PermissionDenied(
        f"Permission is missing: {' or '.join(privileges)} on {path} is needed to see whether it exists. {FIX}. Nothing"
        " was changed.",
        **error.details,
    )
