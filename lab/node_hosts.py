# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory whose hosts are the nodes of a lab: on each of them the programs of Proxmox VE are the lab's.

``python -m lab.node_hosts --info lab.json --folder DIR`` writes ``DIR/nodes.yml``, with a Python for each node that
knows which node it is, and prints its path. ``localhost`` is in it too, as the controller.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = (
    "apt-get",
    "ceph",
    "ethtool",
    "ha-manager",
    "pct",
    "proxmox-boot-tool",
    "pvesh",
    "pveversion",
    "qm",
    "systemctl",
    "uname",
    "zfs",
    "zpool",
)
_CHECKOUT = Path(__file__).parents[1]


def write(folder: Path, control: str, nodes: Iterable[str], python: str = sys.executable) -> Path:
    """:param control: address of the lab's control path. Returns the inventory."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        command = f'cd {shlex.quote(str(_CHECKOUT))} && exec {shlex.quote(python)} -m lab.shell {program} "$@"'
        _script(programs / program, command)
    hosts = {}
    for node in nodes:
        own = programs / f"python-{node}"
        # Ansible's own modules need the programs of this machine too, so theirs only come first.
        lines = f'PATH={shlex.quote(str(programs))}:"$PATH" LAB_CONTROL={shlex.quote(control)} LAB_NODE={node}\n'
        _script(own, f'{lines}export PATH LAB_CONTROL LAB_NODE\nexec {shlex.quote(python)} "$@"')
        hosts[node] = {"ansible_connection": "local", "ansible_python_interpreter": str(own)}
    inventory = folder / "nodes.yml"
    controller = {"ansible_connection": "local", "ansible_python_interpreter": python}
    groups = {"all": {"hosts": {"localhost": controller}}, "pve_nodes": {"hosts": hosts}}
    # JSON is YAML.
    inventory.write_text(json.dumps(groups, indent=2) + "\n", encoding="utf-8")
    return inventory


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m lab.node_hosts", description=__doc__)
    arguments.add_argument("--info", type=Path, required=True, help="what `python -m lab --info FILE` has written")
    arguments.add_argument("--folder", type=Path, required=True, help="where to write")
    options = arguments.parse_args()
    info = json.loads(options.info.read_text(encoding="utf-8"))
    print(write(options.folder, info["control"], info["nodes"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
