# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lab.demo``: upgrade a simulated cluster of five nodes, before your eyes.

Starts the lab, shows the plan as operators see it with ``--check``, runs the playbook that they run, and ends with the
report.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lab.node_hosts import write

CLUSTER = Path(__file__).parent / "clusters" / "five-nodes.yml"
PAGES = Path(__file__).parents[1] / "build" / "demo"
SPEED = 40.0
"""Virtual seconds per second: minutes of migration pass in seconds, and each progress line can still be read."""

INTRODUCTION = """\
A cluster of five nodes, simulated: it speaks the Proxmox VE API, and time runs {speed:.0f} times as fast.
All of them wait for an upgrade from 9.1 to 9.2. There are virtual machines and containers, half of them under HA, some
replicated, one with a card passed through; pve4 has no guest under HA, and pve3 refuses some guests at first.

Now the plan is made and carried out. This is what an operator types:

  ansible-playbook -i nodes.yml pve.mobility.rolling_upgrade -e pinned=stop -e plan_report=… -e report=…
"""
PAGES_ARE = """
The plan as a page:    {folder}/plan.html
The report as a page:  {folder}/report.html   (and report.md, report.json)
"""
YOURS = """
To see what it would do to a cluster of yours, give it an API token and the nodes as an inventory, and leave the rest to
--check, which writes nothing:

  export PROXMOX_HOST=pve1.example.com,pve2.example.com PROXMOX_USER=automation@pve \\
         PROXMOX_TOKEN_ID=mobility PROXMOX_TOKEN_SECRET=… PROXMOX_CA_PATH=/path/to/pve-root-ca.pem
  ansible-playbook -i nodes.yml pve.mobility.rolling_upgrade --check
"""


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    arguments.add_argument("--speed", type=float, default=SPEED, help="virtual seconds per second")
    arguments.add_argument("--pages", type=Path, default=PAGES, help="folder for the plan and the report")
    options = arguments.parse_args()
    if shutil.which("ansible-playbook") is None:
        print("ansible-playbook is not to be found: use `make demo`, which installs it.", file=sys.stderr)
        return 2
    lab = subprocess.Popen(
        [sys.executable, "-m", "lab", "--cluster", str(CLUSTER), "--port", "0", "--speed", str(options.speed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        if not line:
            return 1
        print(INTRODUCTION.format(speed=options.speed), flush=True)
        with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
            code = _upgrade(json.loads(line), options.speed, Path(scratch), options.pages)
        shown = PAGES_ARE.format(folder=options.pages) + YOURS
        print(shown if code == 0 else "\nThe demo failed; the lines above say where and why.", flush=True)
        return code
    except KeyboardInterrupt:
        return 130
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait()


def _upgrade(info: dict[str, Any], speed: float, scratch: Path, pages: Path) -> int:
    """:param scratch: for the state and the inventory. :param pages: for what is worth looking at."""
    pages.mkdir(parents=True, exist_ok=True)
    user, _mark, token = str(info["token_id"]).partition("!")
    environment = {
        **os.environ,
        "PROXMOX_HOST": ",".join(info["hosts"]),
        "PROXMOX_USER": user,
        "PROXMOX_TOKEN_ID": token,
        "PROXMOX_TOKEN_SECRET": str(info["token_secret"]),
        "PROXMOX_CA_PATH": str(info["ca"]),
        "PVE_MOBILITY_SPEED": str(speed),
        "XDG_STATE_HOME": str(scratch),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_DISPLAY_OK_HOSTS": "false",
    }
    variables = {
        "auto": True,
        "pinned": "stop",
        "plan_report": str(pages / "plan.html"),
        "report": [str(pages / f"report.{suffix}") for suffix in ("html", "md", "json")],
    }
    inventory = write(scratch / "hosts", info["control"], info["nodes"])
    command = ["ansible-playbook", "-i", str(inventory), "pve.mobility.rolling_upgrade", "-e", json.dumps(variables)]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
