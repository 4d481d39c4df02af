# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a request one that Proxmox VE publishes? Checked against the API schema where that is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.area import CHECKOUT

PUBLISHED = CHECKOUT.parent / "shared" / "reference" / "api-schema-9.2.json"
PATHS = PUBLISHED.with_name("api-paths.txt")
"""Every path with its methods; the schema describes the parameters of most."""


class Schema:
    """The published methods, by method and path pattern."""

    def __init__(self, path: Path = PUBLISHED, paths: Path = PATHS) -> None:
        methods: dict[str, dict[str, Any] | None] = {}
        for line in paths.read_text(encoding="utf-8").splitlines():
            template, _space, verbs = line.partition(" ")
            methods |= {f"{verb} {template}": None for verb in verbs.split(",") if verb}
        methods |= json.loads(path.read_text(encoding="utf-8"))
        self._methods = []
        for key, method in methods.items():
            verb, template = key.split(" ", 1)
            regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
            self._methods.append((verb, template.count("{"), re.compile(f"^{regex}$"), method))
        self._methods.sort(key=lambda item: item[1])

    def violations(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """One sentence for each way in which a request departs from the schema.

        :param requests: rows of the lab's request log: ``method``, ``path``, ``params``.
        """
        for request in requests:
            verb, path, params = request["method"], request["path"], request["params"]
            found = self._find(verb, path)
            if found is None:
                yield f"{verb} {path} is not published"
                continue
            in_path, method = found
            if method is None:
                continue
            properties = method.get("parameters", {}).get("properties", {})
            for name, value in params.items():
                if name in in_path:
                    continue
                known = properties.get(name) or _numbered(properties, name)
                if known is None:
                    yield f"{verb} {path} has no parameter {name}"
                elif complaint := _complaint(known, value):
                    yield f"{verb} {path}: {name}={value!r} {complaint}"
            for name, known in properties.items():
                if not known.get("optional") and name not in params and name not in in_path:
                    yield f"{verb} {path} lacks {name}"

    def _find(self, verb: str, path: str) -> tuple[dict[str, str], dict[str, Any] | None] | None:
        for method_verb, _count, pattern, method in self._methods:
            if method_verb == verb and (match := pattern.match(path)):
                return match.groupdict(), method
        return None


def _numbered(properties: Mapping[str, Any], name: str) -> Any:
    """``scsi[n]`` in the schema stands for scsi0, scsi1 …"""
    return properties.get(re.sub(r"\d+$", "[n]", name))


def _complaint(known: Mapping[str, Any], value: Any) -> str:
    text = str(value)
    match known.get("type"):
        case "integer" if not re.fullmatch(r"-?\d+", text):
            return "is not an integer"
        case "number" if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            return "is not a number"
        case "boolean" if text.lower() not in {"0", "1", "true", "false"}:
            return "is not a boolean"
    if "enum" in known and text not in known["enum"]:
        return f"is none of {', '.join(known['enum'])}"
    if "minimum" in known and float(text) < float(known["minimum"]):
        return f"is below {known['minimum']}"
    if "maximum" in known and float(text) > float(known["maximum"]):
        return f"is above {known['maximum']}"
    return ""
