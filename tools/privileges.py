# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of privileges from the one table: ``python -m tools.privileges``."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tools.area import CHECKOUT, COLLECTIONS
from tools.tree import sync

PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "privileges.rst"
_PLUGINS = "ansible_collections.pve.mobility.plugins.module_utils"
_HEAD = """\
.. SPDX-FileCopyrightText: 2026 pve.mobility contributors
.. SPDX-License-Identifier: GPL-3.0-or-later
.. Written by python -m tools.privileges from the table of privileges; changes belong there.

.. _ansible_collections.pve.mobility.docsite.privileges:

Privileges
==========

What each module asks of Proxmox VE, for what, on which path, and what happens without it. The module and the role
``api_access`` give an account just this, for the features that you choose:

.. lab: office.yml

.. code-block:: bash

    ansible-playbook pve.mobility.api_access -e features=audit,migrate -e secret_file=mobility.secret --check --diff

Proxmox VE takes, for an account, the entry of the access control list that is nearest to a path, and none above it: an
entry on ``/vms/100`` must hold everything that is wanted there, also what an entry on ``/vms`` holds already. A token
with privilege separation has what it was given and its user has, both. On ``/`` nothing has to go down to what is
below; ``api_access`` sees to all of that.

*Without* says: **fails**: one sentence names privilege and path, the kind of the failure is ``permission``, and
nothing was changed; **unknown**: the result names the part that may be incomplete, and the privilege; or what is done
without it. These tables are what the tests run the modules with, once with exactly this and once with each one missing.

"""


def page() -> str:
    """The text that the page must have."""
    sys.path.insert(0, str(COLLECTIONS))
    table = importlib.import_module(f"{_PLUGINS}.model.privileges")
    access = importlib.import_module(f"{_PLUGINS}.planning.access")
    parts = [_HEAD + "Features", "--------", "", "What an account may be for, as ``api_access`` calls it.", ""]
    for feature in table.FEATURES:
        parts += _feature(feature, access)
    parts += ["Modules", "-------", ""]
    for module in dict.fromkeys(use.module for use in table.USES):
        parts += _module(module, [use for use in table.USES if use.module == module])
    parts += [
        "Without the API",
        "---------------",
        "",
        "``node_maintenance`` and ``zfs_info`` run on a node as root, over SSH, and ask no API. ``upgrade_state`` and",
        "``upgrade_report`` only work with files of the controller. See",
        ":ref:`ansible_collections.pve.mobility.docsite.security`.",
        "",
    ]
    return "\n".join(parts).rstrip() + "\n"


def _feature(feature: Any, access: Any) -> Iterator[str]:
    yield from (f".. _ansible_collections.pve.mobility.docsite.privileges.{feature.name}:", "")
    yield from (f"``{feature.name}``", "~" * (len(feature.name) + 4), "", *_wrapped(feature.what), "")
    by_release = {
        label: {item.path: item for item in access.grants([feature.name], [release], access.Scope(), "")}
        for label, release in (("9.0 and newer", (9, 0)), ("8.4", (8, 4)))
    }
    newer, older = by_release.values()
    rows = []
    for path in sorted({*newer, *older}):
        now = ", ".join(sorted(newer[path].privileges)) if path in newer else ""
        then = ", ".join(sorted(older[path].privileges)) if path in older else ""
        rows.append((f"``{path}``{'' if path != '/' else ' (not below)'}", now or "none", then or "none"))
    same = all(now == then for _path, now, then in rows)
    head = ("Path", "Privileges") if same else ("Path", "9.0 and newer", "8.4")
    yield from _table(head, [row[: len(head)] for row in rows])
    yield from _wrapped(f"* A stolen token could {feature.theft}.")
    yield from _wrapped(f"* To limit it: {_small(feature.limit)}.")
    yield ""


def _module(module: str, uses: Sequence[Any]) -> Iterator[str]:
    yield from (f"``{module}``", "~" * (len(module) + 4), "")
    rows = []
    for use in uses:
        for name in use.like:
            yield from (f"Everything of ``{name}``.", "")
        rows += [(use.when or "always", need.privilege, f"``{need.path}``{_releases(need)}", _without(need))
                 for need in use.needs]  # fmt: skip
    if rows:
        yield from _table(("For", "Privilege", "Path", "Without"), rows)


def _releases(need: Any) -> str:
    if need.since is not None:
        return f" (from {need.since[0]}.{need.since[1]} on)"
    return f" (before {need.until[0]}.{need.until[1]})" if need.until is not None else ""


def _without(need: Any) -> str:
    return need.lost or f"**{need.lack.value}**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: auto", "")
    for row in (head, *rows):
        for number, cell in enumerate(row):
            yield f"   {'* -' if number == 0 else '  -'} {cell}"
    yield ""


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, subsequent_indent="  " if text.startswith("* ") else "", break_on_hyphens=False)


def _small(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def main() -> int:
    sync()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
