# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/cluster/options``: datacenter.cfg (pve-cluster DataCenterConfig.pm, pve-facts §5)."""

from __future__ import annotations

from typing import Any

from lab.http.formats import format_check
from lab.http.params import property_format
from lab.http.router import Call, Param, opt, route
from lab.http.router import check as needs
from lab.pve.formats import parse_property_string, print_key_value, split_list
from lab.pve.releases import Release, knows_option

FILE = "datacenter.cfg"
_KEYBOARDS = (
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
)  # fmt: skip
_LANGUAGES = (
    "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he", "it", "ja", "ka", "kr", "nb", "nl", "nn", "pl",
    "pt_BR", "ru", "sl", "sv", "tr", "ukr", "zh_CN", "zh_TW",
)  # fmt: skip

DEFAULT_KEYS = {"migration": "type", "replication": "type"}
PARSED = ("migration", "replication", "crs", "ha", "next-id", "notify", "u2f", "webauthn", "tag-style",
          "user-tag-access", "location")  # fmt: skip
"""Properties that are answered as objects; ``bwlimit`` is not among them."""
_PUBLIC = ("console", "tag-style")
"""What everybody may see."""

_LIMIT = {"type": "number", "minimum": 0}
property_format("bwlimit", *(opt(key, **_LIMIT) for key in ("clone", "default", "migration", "move", "restore")))  # type: ignore[arg-type]
_network = (Param("type", enum=("secure", "insecure")), opt("network", format="CIDR"))
property_format("migration-option", *_network, default_key="type")
property_format("ha-option", Param("shutdown_policy", enum=("freeze", "failover", "conditional", "migrate")))
_crs_old = (opt("ha", enum=("basic", "static")), opt("ha-rebalance-on-start", "boolean"))
_crs_new = (
    opt("ha", enum=("basic", "static", "dynamic")),
    opt("ha-rebalance-on-start", "boolean"),
    opt("ha-auto-rebalance", "boolean"),
    opt("ha-auto-rebalance-threshold", "number", requires="ha-auto-rebalance", minimum=0, maximum=100),
    opt("ha-auto-rebalance-method", requires="ha-auto-rebalance", enum=("bruteforce", "topsis")),
    opt("ha-auto-rebalance-hold-duration", "number", requires="ha-auto-rebalance", minimum=0),
    opt("ha-auto-rebalance-margin", "number", requires="ha-auto-rebalance", minimum=0, maximum=100),
)
property_format("crs-old", *_crs_old)
property_format("crs-new", *_crs_new)
property_format("next-id-option", opt("lower", "integer"), opt("upper", "integer"))
property_format(
    "notify-option",
    *(opt(key, enum=("always", "never")) for key in ("fencing", "replication")),
    opt("package-updates", enum=("auto", "always", "never")),
    *(opt(f"target-{key}") for key in ("fencing", "package-updates", "replication")),
)
property_format("location-option", Param("latitude", "number", minimum=-90, maximum=90),
                Param("longitude", "number", minimum=-180, maximum=180), opt("name"))  # fmt: skip
property_format("u2f-option", opt("appid"), opt("origin"))
property_format("webauthn-option", opt("rp"), opt("origin"), opt("id"), opt("allow-subdomains", "boolean"))
property_format(
    "tag-style-option",
    opt("shape", enum=("full", "circle", "dense", "none")),
    opt("color-map"),
    opt("ordering", enum=("config", "alphabetical")),
    opt("case-sensitive", "boolean"),
)
property_format(
    "user-tag-access-option",
    opt("user-allow", enum=("none", "list", "existing", "free")),
    opt("user-allow-list"),
)


@format_check("mac-prefix")
def _mac_prefix(value: str) -> None:
    parts = value.split(":")
    if not all(len(part) in (1, 2) and all(char in "0123456789abcdefABCDEF" for char in part) for part in parts):
        raise ValueError("value is not a valid unicast MAC address prefix")


_WRITE = (
    opt("bwlimit", format="bwlimit"),
    opt("consent-text", max_length=65536, since=(8, 4)),
    opt("console", enum=("applet", "vv", "html5", "xtermjs")),
    opt("crs", format="crs-old", until=(9, 2)),
    opt("crs", format="crs-new", since=(9, 2)),
    opt("delete", format="pve-configid-list"),
    opt("description", max_length=65536),
    opt("email_from", format="email-opt"),
    opt("fencing", enum=("watchdog", "hardware", "both")),
    opt("ha", format="ha-option"),
    opt("http_proxy", pattern="http://.*"),
    opt("keyboard", enum=_KEYBOARDS),
    opt("language", enum=_LANGUAGES),
    opt("location", format="location-option", since=(9, 2)),
    opt("mac_prefix", format="mac-prefix"),
    opt("max_workers", "integer", minimum=1),
    opt("migration", format="migration-option"),
    opt("migration_unsecure", "boolean"),
    opt("next-id", format="next-id-option"),
    opt("notify", format="notify-option"),
    opt("registered-tags"),
    opt("replication", format="migration-option", since=(9, 0)),
    opt("tag-style", format="tag-style-option"),
    opt("u2f", format="u2f-option"),
    opt("user-tag-access", format="user-tag-access-option"),
    opt("webauthn", format="webauthn-option"),
)


def readable(options: dict[str, str], release: Release) -> dict[str, str]:
    """What a node of ``release`` can read; it drops a key with anything in it that it does not know."""
    return {key: value for key, value in options.items()
            if knows_option(release, key, parse_property_string(value, DEFAULT_KEYS.get(key, "")))}  # fmt: skip


@route("GET", "/cluster/options")
def get_options(call: Call) -> dict[str, Any]:
    options = readable(call.cluster.options(), call.node.release)
    result: dict[str, Any] = {}
    full = call.may("/", "Sys.Audit")
    if full:
        result = {key: _answer(key, value) for key, value in options.items()}
        result.setdefault("mac_prefix", "BC:24:11")
        result.setdefault("description", "")
    else:
        result = {key: _answer(key, options[key]) for key in _PUBLIC if key in options}
    result["allowed-tags"] = _allowed_tags(call, options)
    return result


def _answer(key: str, value: str) -> Any:
    if key in PARSED:
        return {name: _number(name, item) for name, item in
                parse_property_string(value, DEFAULT_KEYS.get(key)).items()}  # fmt: skip
    if key in {"registered-tags"}:
        return split_list(value)
    return value


def _number(name: str, value: str) -> Any:
    """Booleans of parsed objects are numbers; the rest stays as it is written."""
    booleans = {"ha-rebalance-on-start", "ha-auto-rebalance", "case-sensitive", "allow-subdomains"}
    return int(value) if name in booleans and value.isdigit() else value


def _allowed_tags(call: Call, options: dict[str, str]) -> list[str]:
    """DataCenterConfig.pm:get_allowed_tags: registered ones, and by default those of guests one may see."""
    access = parse_property_string(options.get("user-tag-access", ""))
    tags: set[str] = set()
    mode = access.get("user-allow", "free")
    admin = call.may("/", "Sys.Modify")
    if admin or mode in {"free", "existing"}:
        for vmid, entry in call.cluster.fs.vmlist.items():
            text = call.cluster.config(entry).current.get("tags")
            if text and call.may(f"/vms/{vmid}", "VM.Audit"):
                tags.update(split_list(text))
    if mode == "list":
        tags.update(split_list(access.get("user-allow-list")))
    if admin:
        tags.update(split_list(options.get("registered-tags")))
    return sorted(tags)


@route("PUT", "/cluster/options", *_WRITE, permission=needs("/", "Sys.Modify"), protected=True)
def set_options(call: Call) -> None:
    """Each given key replaces the whole property; what this node cannot read is lost (pve-facts §5)."""
    cluster, params = call.cluster, call.params
    cluster.check_cfs_lock(call.node, "file-datacenter_cfg")
    options = readable(cluster.options(), call.node.release)
    options |= {key: str(value) for key, value in params.items() if key != "delete"}
    for key in split_list(params.get("delete")):
        options.pop(key, None)
    if options.get("description") == "":
        del options["description"]
    cluster.fs.write(FILE, print_key_value(options))
