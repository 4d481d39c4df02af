# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common community collection on the same lab, where the package index has it."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.bench.adhoc import Cost, call
from tests.bench.cluster import CLUSTER
from tests.integration.harness import Lab, running_lab
from tools.area import AREA

BUNDLE = "ansible==14.5.0"
"""The bundle that brings community.proxmox 2.0.0."""
MODULE = "community.proxmox.proxmox_kvm"
FAILURE = (
    "online migrate failure - migration status error: failed - Unable to write to socket: Connection reset by peer"
)
SPEED = 1.0
"""Its waiting is counted in turns of a real second, so the lab runs in real time for a fair comparison."""


def measure() -> dict[str, float]:
    """Wall time and requests of both for the same four jobs, and what each claimed."""
    collections = _fetch()
    figures: dict[str, float] = {}
    with running_lab(CLUSTER, SPEED, check=False) as lab:
        figures |= _jobs(lab, "ours_", None)
    if collections is None:
        print(f"  {BUNDLE} cannot be had from the package index: no figures of the peer")
        return figures
    with running_lab(CLUSTER, SPEED, check=False) as lab:
        figures |= _jobs(lab, "peer_", collections)
    return figures


def _jobs(lab: Lab, prefix: str, collections: Path | None) -> dict[str, float]:
    figures: dict[str, float] = {}

    def note(job: str, cost: Cost) -> None:
        figures[f"{prefix}{job}_wall_s"] = round(cost.wall, 2)
        figures[f"{prefix}{job}_requests"] = cost.requests

    note("noop", _move(lab, 100, "pve1", collections))
    note("move", _move(lab, 100, "pve2", collections))
    ha = _move(lab, 101, "pve2", collections)
    note("ha_move", ha)
    figures[f"{prefix}ha_false_success"] = float(ha.result.get("changed", False) and _node(lab, 101) != "pve2")
    lab.control("POST", "/fault", {"task": "qmigrate", "vmid": 102, "phase": "memory", "effect": {"fail": FAILURE}})
    failing = _move(lab, 102, "pve2", collections)
    note("failing", failing)
    figures[f"{prefix}failing_says_timeout"] = float("timeout" in str(failing.result.get("msg", "")).lower())
    return figures


def _move(lab: Lab, vmid: int, target: str, collections: Path | None) -> Cost:
    if collections is None:
        return call(lab, "pve.mobility.migrate", {"guest": vmid, "target": target})
    host, _colon, port = lab.info["hosts"][0].rpartition(":")
    connection = {
        "api_host": host,
        "api_port": int(port),
        "api_user": lab.environment["PROXMOX_USER"],
        "api_token_id": lab.environment["PROXMOX_TOKEN_ID"],
        "api_token_secret": lab.info["token_secret"],
        "validate_certs": True,
        "ca_path": lab.info["ca"],
    }
    return call(lab, MODULE, {**connection, "vmid": vmid, "node": target, "migrate": True}, collections)


def _node(lab: Lab, vmid: int) -> str:
    """Where the lab really has the guest, at the moment of asking."""
    return str(next(row["node"] for row in lab.api("/cluster/resources?type=vm") if row["vmid"] == vmid))


def _fetch() -> Path | None:
    """The peer's collection, unpacked from the bundle; None when the index does not have it."""
    home = AREA / "peer"
    tree = home / "collections"
    if (tree / "ansible_collections" / "community" / "proxmox").is_dir():
        return tree
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(home), BUNDLE]
    if subprocess.run(download, check=False, capture_output=True).returncode:
        return None
    with zipfile.ZipFile(glob.glob(str(home / "ansible-*.whl"))[0]) as wheel:
        for name in wheel.namelist():
            if name.startswith("ansible_collections/community/proxmox/"):
                wheel.extract(name, tree)
    return tree
