# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lab.demo``: evacuate a node of a simulated cluster, before your eyes.

Starts the lab, runs the playbook that operators run, runs it once more to show that nothing is left to do, and says
how to point it at a genuine cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CLUSTER = Path(__file__).parent / "clusters" / "three-nodes.yml"
SPEED = 8.0
"""Virtual seconds per second: minutes of migration pass in seconds, and each progress line can still be read."""

INTRODUCTION = """\
A cluster of three nodes, simulated: it speaks the Proxmox VE API, and time runs {speed:.0f} times as fast.
Now pve1 is evacuated, as before maintenance: virtual machines move while they run, containers restart on their new
node, guests under HA go by way of the HA manager.
"""
AGAIN = """
The same playbook once more: nothing is left to do.
"""
YOURS = """
To do the same with a cluster of yours, give it an API token and run the same playbook:

  export PROXMOX_HOST=pve1.example.com,pve2.example.com PROXMOX_USER=automation@pve \\
         PROXMOX_TOKEN_ID=mobility PROXMOX_TOKEN_SECRET=… PROXMOX_CA_PATH=/path/to/pve-root-ca.pem
  ansible-playbook pve.mobility.evacuate_node -e node=pve1 -e targets=pve2,pve3 --check
  ansible-playbook pve.mobility.evacuate_node -e node=pve1 -e targets=pve2,pve3
"""


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    arguments.add_argument("--speed", type=float, default=SPEED, help="virtual seconds per second")
    speed = arguments.parse_args().speed
    if shutil.which("ansible-playbook") is None:
        print("ansible-playbook is not to be found: use `make demo`, which installs it.", file=sys.stderr)
        return 2
    lab = subprocess.Popen(
        [sys.executable, "-m", "lab", "--cluster", str(CLUSTER), "--port", "0", "--speed", str(speed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        if not line:
            return 1
        print(INTRODUCTION.format(speed=speed), flush=True)
        first = _evacuate(json.loads(line), speed)
        if first == 0:
            print(AGAIN, flush=True)
            first = _evacuate(json.loads(line), speed)
        print(YOURS if first == 0 else "\nThe demo failed; the lines above say where and why.", flush=True)
        return first
    except KeyboardInterrupt:
        return 130
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait()


def _evacuate(info: dict[str, object], speed: float) -> int:
    hosts = info["hosts"]
    assert isinstance(hosts, list)
    user, _mark, token = str(info["token_id"]).partition("!")
    environment = {
        **os.environ,
        "PROXMOX_HOST": ",".join(hosts),
        "PROXMOX_USER": user,
        "PROXMOX_TOKEN_ID": token,
        "PROXMOX_TOKEN_SECRET": str(info["token_secret"]),
        "PROXMOX_CA_PATH": str(info["ca"]),
        "PVE_MOBILITY_SPEED": str(speed),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
    }
    variables = {"node": "pve1", "targets": ["pve2", "pve3"], "ansible_python_interpreter": sys.executable}
    command = ["ansible-playbook", "pve.mobility.evacuate_node", "-e", json.dumps(variables)]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
