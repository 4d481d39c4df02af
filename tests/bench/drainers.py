# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other tools that empty a node, on the same lab: how long, how many requests and moves, and what they say at the end.

Each has an environment of its own. ProxLB is told that the node is in maintenance, pvecontrol to evacuate it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import yaml

from tests.integration.drain_case import CLUSTER
from tests.integration.harness import Lab, running_lab
from tools.area import AREA, COLLECTIONS

TOOLS = {"pvecontrol": "pvecontrol==0.8.0", "proxlb": "proxlb==2.3.0"}
NODE = "pve1"
SPEED = 1.0
"""They wait in real seconds, so the lab runs in real time."""
LIMIT = 300
"""Seconds after which a tool is stopped that has not ended."""
SETTLED = 40.0
"""Seconds after the tool has ended in which the HA manager may still act on what it was asked for."""


def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("ours", *TOOLS):
        program = sys.executable if name == "ours" else _installed(name)
        if not program:
            continue
        with running_lab(CLUSTER, SPEED, check=False) as lab, tempfile.TemporaryDirectory() as folder:
            figures |= {f"drain_{name}_{key}": value for key, value in _run(name, program, lab, Path(folder)).items()}
    return figures


def _run(name: str, program: str, lab: Lab, folder: Path) -> dict[str, float]:
    command, words = {"ours": _ours, "pvecontrol": _pvecontrol, "proxlb": _proxlb}[name](program, lab, folder)
    lab.control("DELETE", "/requests")
    began = time.monotonic()
    code, said = _call(command, words, _environment(lab))
    wall = time.monotonic() - began
    requests = len(lab.requests())
    time.sleep(SETTLED)
    left = [row for row in lab.api("/cluster/resources?type=vm") if row["node"] == NODE and row["status"] == "running"]
    tasks = [
        row
        for node in lab.api("/nodes")
        for row in lab.api(f"/nodes/{node['node']}/tasks?limit=500")
        if row["type"] in ("qmigrate", "vzmigrate")
    ]
    good = code == 0
    end = f"exit code {code}" if code is not None else f"stopped after {LIMIT} s, in which it had not ended"
    print(f"  {name}: {end}; still running on {NODE}: {_names(left) or 'nobody'}")
    if not good or left:
        for line in [line for line in said.splitlines() if line.strip()][-6:]:
            print(f"    {line[:150]}")
    return {
        "wall_s": round(wall, 1),
        "requests": requests,
        "migrations": len(tasks),
        "failed_migrations": sum(row.get("status") != "OK" for row in tasks),
        "left_running": len(left),
        "wrong_claims": float(good and bool(left)),
        "did_not_end": float(code is None),
    }


def _call(command: list[str], words: str, environment: dict[str, str]) -> tuple[int | None, str]:
    """Its exit code, None when it was stopped, and what it said."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, text=True, env=environment
        )
        try:
            process.communicate(words, timeout=LIMIT)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        said.seek(0)
        return code, said.read()


def _names(rows: list[dict[str, str]]) -> str:
    return ", ".join(f"{row['vmid']} {row['name']}" for row in rows)


def _environment(lab: Lab) -> dict[str, str]:
    return {
        **os.environ,
        **lab.environment,
        "REQUESTS_CA_BUNDLE": lab.info["ca"],
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }


def _ours(program: str, lab: Lab, folder: Path) -> tuple[list[str], str]:
    wanted = {"node": NODE, "journal": str(folder / "drain.jsonl")}
    ansible = str(Path(program).with_name("ansible"))
    return [ansible, "localhost", "-m", "pve.mobility.drain", "-a", json.dumps(wanted)], ""


def _pvecontrol(program: str, lab: Lab, folder: Path) -> tuple[list[str], str]:
    user, _mark, token = str(lab.info["token_id"]).partition("!")
    cluster = {
        "name": "lab",
        "host": lab.info["hosts"][0],
        "user": user,
        "token_name": token,
        "token_value": lab.info["token_secret"],
        "ssl_verify": True,
    }
    path = folder / "pvecontrol.yaml"
    path.write_text(yaml.safe_dump({"clusters": [cluster]}), encoding="utf-8")
    tool = str(Path(program).with_name("pvecontrol"))
    return [tool, "--config", str(path), "node", "evacuate", NODE, "--online", "--wait"], "yes\n"


def _proxlb(program: str, lab: Lab, folder: Path) -> tuple[list[str], str]:
    user, _mark, token = str(lab.info["token_id"]).partition("!")
    settings = {
        "proxmox_api": {
            "hosts": lab.info["hosts"][:1],
            "user": user,
            "token_id": token,
            "token_secret": lab.info["token_secret"],
            "ssl_verification": True,
            "timeout": 30,
        },
        "proxmox_cluster": {"maintenance_nodes": [NODE]},
        "balancing": {
            "enable": True,
            "parallel": True,
            "parallel_jobs": 4,
            "max_node_inflow": None,
            "balance_types": ["vm", "ct"],
        },
        "service": {"daemon": False},
    }
    path = folder / "proxlb.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return [program, "-m", "proxlb", "--config", str(path)], ""


def _installed(name: str) -> str:
    """Its Python; empty when the package index does not give it, which is said."""
    home = AREA / f"peer-{name}"
    python = home / "bin" / "python"
    if (home / "complete").exists():
        return str(python)
    venv.create(home, clear=True, with_pip=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", TOOLS[name]], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "no reason given")
        print(f"  {TOOLS[name]} cannot be installed ({why}): no figures of it")
        return ""
    (home / "complete").touch()
    return str(python)
