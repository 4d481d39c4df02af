# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wanted keys of datacenter.cfg against those that are there, sub-key by sub-key (pve-facts §5).

Proxmox VE replaces a whole property with each write, so whoever sets one sub-key must send the others too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.model.propstring import properties, truth
from ansible_collections.pve.mobility.plugins.module_utils.model.release import Release

Values = Mapping[str, str]
"""Sub-keys of a property; a property without sub-keys has its value under ``""``."""

SCALAR = ""


@dataclass(frozen=True, slots=True)
class Property:
    """A key. ``default`` is the sub-key that may stand without its name, ``subs`` the sub-keys that can be set."""

    name: str
    subs: tuple[str, ...]
    default: str = ""
    since: Release = (0, 0)


PROPERTIES: dict[str, Property] = {
    item.name: item
    for item in (
        Property("bwlimit", ("clone", "default", "migration", "move", "restore")),
        Property(
            "crs",
            (
                "ha",
                "ha-rebalance-on-start",
                "ha-auto-rebalance",
                "ha-auto-rebalance-threshold",
                "ha-auto-rebalance-method",
                "ha-auto-rebalance-hold-duration",
                "ha-auto-rebalance-margin",
            ),
            "ha",
        ),
        Property("ha", ("shutdown_policy",)),
        Property("max_workers", (SCALAR,)),
        Property("migration", ("type", "network"), "type"),
        Property("replication", ("type", "network"), "type", since=(9, 0)),
    )
}
NETWORKED = ("migration", "replication")
_BOOLEANS = frozenset({"ha-rebalance-on-start", "ha-auto-rebalance"})


class BadWish(ValueError):
    """What is wanted makes no sense; one sentence."""


@dataclass(frozen=True, slots=True)
class Wish:
    """``values``: sub-keys to set, by key. ``absent``: ``key`` or ``key.sub-key``."""

    values: Mapping[str, Values] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def needs(self) -> tuple[Release, str]:
        """The release that knows all of it, and for what that one is needed."""
        found: list[tuple[Release, str]] = [((0, 0), "")]
        found += [(PROPERTIES[key].since, key) for key in self.values]
        crs = self.values.get("crs", {})
        found += [((9, 2), f"crs: {sub}") for sub in crs if sub.startswith("ha-auto-rebalance")]
        if crs.get("ha") == "dynamic":
            found.append(((9, 2), "crs: ha=dynamic"))
        return max(found)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written. ``before`` and ``after``: the keys that are managed here."""

    before: Mapping[str, Values]
    after: Mapping[str, Values]

    @property
    def put(self) -> dict[str, str]:
        """Properties to replace, as Proxmox VE takes them."""
        return {key: render(values) for key, values in self.after.items() if self.before.get(key) != values}

    @property
    def delete(self) -> list[str]:
        return sorted(set(self.before) - set(self.after))

    @property
    def changed(self) -> bool:
        return bool(self.put or self.delete)

    def network(self, key: str) -> str | None:
        """The network of a property after the change, if the change is what makes it so."""
        new = self.after.get(key, {}).get("network")
        return new if new and not same("network", new, self.before.get(key, {}).get("network", "")) else None


# ---------------------------------------------------------------- reading


def present(answer: Mapping[str, Any]) -> dict[str, Values]:
    """Managed keys of ``GET /cluster/options``, which answers some as objects and others as text."""
    found: dict[str, Values] = {}
    for name, item in PROPERTIES.items():
        value = answer.get(name)
        if value in (None, ""):
            continue
        if item.subs == (SCALAR,):
            found[name] = {SCALAR: str(value)}
        elif isinstance(value, Mapping):
            found[name] = {str(sub): _text(entry) for sub, entry in value.items()}
        else:
            found[name] = properties(str(value), item.default)
    return found


def lines(values: Mapping[str, Values]) -> str:
    """The keys as datacenter.cfg has them, one a line."""
    return "".join(f"{key}: {render(values[key])}\n" for key in sorted(values))


def render(values: Values) -> str:
    """A property string; ``type`` and ``ha`` first, the rest in order."""
    if SCALAR in values:
        return values[SCALAR]
    first = [sub for sub in ("type", "ha") if sub in values]
    return ",".join(f"{sub}={values[sub]}" for sub in (*first, *sorted(set(values) - set(first))))


# ---------------------------------------------------------------- wishing


def wish(options: Mapping[str, Any], absent: Iterable[str]) -> Wish:
    """From a module's options, where what is not given is None.

    :raises BadWish: with one sentence.
    """
    values: dict[str, Values] = {}
    for name, item in PROPERTIES.items():
        given = options.get(name)
        if given is None:
            continue
        if item.subs == (SCALAR,):
            values[name] = {SCALAR: _text(given)}
            continue
        subs = {sub: _text(given[sub.replace("-", "_")]) for sub in item.subs if _has(given, sub)}
        if subs:
            values[name] = subs
    gone = tuple(sorted(set(absent)))
    for entry in gone:
        _check_absent(entry, values)
    for key in NETWORKED:
        if network := values.get(key, {}).get("network"):
            check_network(f"{key}.network", network)
    if "max_workers" in values and int(values["max_workers"][SCALAR]) < 1:
        raise BadWish("max_workers must be 1 or more.")
    return Wish(values, gone)


def _has(given: Mapping[str, Any], sub: str) -> bool:
    return given.get(sub.replace("-", "_")) is not None


def _check_absent(entry: str, values: Mapping[str, Values]) -> None:
    key, dot, sub = entry.partition(".")
    known = PROPERTIES.get(key)
    if known is None or (dot and sub not in known.subs):
        names = ", ".join(PROPERTIES)
        raise BadWish(f"absent: '{entry}' is not a key that is managed here: use {names}, or a sub-key (bwlimit.move).")
    if (sub in values.get(key, {})) if dot else (key in values):
        raise BadWish(f"{entry} is both set and absent: decide for one.")


def check_network(name: str, value: str) -> None:
    """:raises BadWish: unless it is a network that Proxmox VE accepts, written without host bits."""
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        raise BadWish(f"{name}: '{value}' is not a network: write it as 10.10.0.0/24.") from None
    if "/" not in value:
        raise BadWish(f"{name}: '{value}' lacks the prefix length: write it as 10.10.0.0/24.")
    if interface.ip != interface.network.network_address:
        raise BadWish(f"{name}: {value} has host bits set: the network is {interface.network}.")
    if interface.network.prefixlen < 8:
        raise BadWish(f"{name}: {value} is larger than Proxmox VE accepts: the prefix length is 8 or more.")


# ---------------------------------------------------------------- comparing


def plan(answer: Mapping[str, Any], wanted: Wish) -> Change:
    """What has to change; a sub-key that is not mentioned stays.

    :raises BadWish: for what cannot be written.
    """
    before = present(answer)
    after: dict[str, Values] = dict(before)
    for key, subs in wanted.values.items():
        merged = dict(before.get(key, {}))
        for sub, value in subs.items():
            if not same(sub, value, merged.get(sub)):
                merged[sub] = value
        after[key] = merged
    for entry in wanted.absent:
        key, dot, sub = entry.partition(".")
        left = {name: value for name, value in after.get(key, {}).items() if dot and name != sub}
        after.pop(key, None)
        if left:
            after[key] = left
    for key in NETWORKED:
        if "network" in after.get(key, {}) and "type" not in after[key]:
            # The type is mandatory as soon as the property is set; what holds now is kept.
            after[key] = {"type": _type_in_force(key, answer, after)} | dict(after[key])
    _check_overlap(after)
    return Change(before, after)


def _type_in_force(key: str, answer: Mapping[str, Any], after: Mapping[str, Values]) -> str:
    if key == "replication":
        return after.get("migration", {}).get("type", "secure")
    return "insecure" if truth(answer.get("migration_unsecure")) else "secure"


def _check_overlap(after: Mapping[str, Values]) -> None:
    networks = [after.get(key, {}).get("network") for key in NETWORKED]
    try:
        one, other = (ipaddress.ip_network(text or "", strict=False) for text in networks)
    except ValueError:
        return
    if one != other and one.version == other.version and one.overlaps(other):
        raise BadWish(
            f"The migration network {one} and the replication network {other} overlap without being the same: a node"
            " with an address in both would have two addresses in the larger one, which Proxmox VE refuses."
        )


def same(sub: str, one: str | None, other: str | None) -> bool:
    """Whether two spellings mean the same."""
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    if sub == "network":
        try:
            return ipaddress.ip_network(one, strict=False) == ipaddress.ip_network(other, strict=False)
        except ValueError:
            return False
    if sub in _BOOLEANS:
        return truth(one) == truth(other)
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def same_values(one: Values, other: Values) -> bool:
    return set(one) == set(other) and all(same(sub, one[sub], other[sub]) for sub in one)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
