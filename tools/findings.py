# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of all findings from the checks themselves: ``python -m tools.findings``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from tools.area import CHECKOUT, COLLECTIONS
from tools.tree import sync

PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "findings.rst"
_CHECKS = "ansible_collections.pve.mobility.plugins.module_utils.checks"
_HEAD = """\
.. SPDX-FileCopyrightText: 2026 pve.mobility contributors
.. SPDX-License-Identifier: GPL-3.0-or-later
.. Written by python -m tools.findings from the checks; changes belong there.

.. _ansible_collections.pve.mobility.docsite.findings:

Findings
========

What ``preflight``, ``migrate`` and ``drain`` can find, and at the end what ``move_disk`` and ``drain_storage`` can.
Each finding has an id, by which playbooks accept it, a severity, a message, a remedy, and the values that it rests on.
*Proxmox VE: refuses* says that such a move is refused, or fails, without this collection too; all else Proxmox VE would
let happen.
"""


def page() -> str:
    """The text that the page must have."""
    sys.path.insert(0, str(COLLECTIONS))
    judge = importlib.import_module(f"{_CHECKS}.judge")
    parts = [_HEAD]
    for module in (*judge.MODULES, judge.disks):
        kinds = [value for value in vars(module).values() if type(value).__name__ == "Kind"]
        if not kinds:
            continue
        title = " ".join(str(module.__doc__).split()).partition(":")[0].partition(".")[0].partition(" (")[0]
        parts += [title, "-" * len(title), ""]
        for kind in kinds:
            parts += _entry(kind)
    return "\n".join(parts).rstrip() + "\n"


def _entry(kind: Any) -> list[str]:
    return [
        f".. _ansible_collections.pve.mobility.docsite.findings.{kind.id}:",
        "",
        f"``{kind.id}``",
        "~" * (len(kind.id) + 4),
        "",
        kind.what,
        "",
        f"* Severity: {kind.severity.value}",
        f"* Why: {kind.why}",
        f"* Remedy: {_sentence(kind.remedy)}",
        *([f"* Evidence: {_sentence(kind.evidence)}"] if kind.evidence else []),
        f"* Proxmox VE: {'refuses' if kind.enforced else 'does not look'}",
        "",
    ]


def _sentence(text: str) -> str:
    escaped = text.replace("*", r"\*")
    return f"{escaped[:1].upper()}{escaped[1:].rstrip('.')}."


def main() -> int:
    sync()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
