# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a lab, run a playbook against it, and keep what was said and sent."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.schema import PUBLISHED, Schema
from tools.area import AREA, CHECKOUT, COLLECTIONS

HERE = Path(__file__).parent
SPEED = 30.0
"""Virtual seconds per second: fast enough for tests, slow enough for a loaded machine to keep polling."""


@dataclass(slots=True)
class Lab:
    """A running lab and the way to it."""

    info: dict[str, Any]
    process: subprocess.Popen[str]
    speed: float

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to reach it: the environment variables that the collection documents."""
        return {
            "PROXMOX_HOST": ",".join(self.info["hosts"]),
            "PROXMOX_USER": self.info["token_id"].partition("!")[0],
            "PROXMOX_TOKEN_ID": self.info["token_id"].partition("!")[2],
            "PROXMOX_TOKEN_SECRET": self.info["token_secret"],
            "PROXMOX_CA_PATH": self.info["ca"],
            "PVE_MOBILITY_SPEED": str(self.speed),
        }

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the lab's control path, which is not part of the API."""
        request = urllib.request.Request(
            f"{self.info['control']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=self.info["ca"]) if request.type == "https" else None
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def api(self, path: str, host: int = 0) -> Any:
        """Data of a GET, asked as an outside observer would. :param host: which of the nodes is asked."""
        return self._ask("GET", path, host)

    def post(self, path: str) -> Any:
        """A call that somebody else makes."""
        return self._ask("POST", path, 0)

    def _ask(self, method: str, path: str, host: int) -> Any:
        request = urllib.request.Request(
            f"https://{self.info['hosts'][host]}/api2/json{path}",
            method=method,
            headers={"Authorization": f"PVEAPIToken={self.info['token_id']}={self.info['token_secret']}"},
        )
        context = ssl.create_default_context(cafile=self.info["ca"])
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return json.loads(answer.read())["data"]

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """API requests that the lab has answered, oldest first."""
        rows: list[dict[str, Any]] = self.control("GET", f"/requests?since={since}")["requests"]
        return rows

    def writes(self) -> list[dict[str, Any]]:
        return [row for row in self.requests() if row["write"]]


@contextmanager
def running_lab(cluster: Path | Mapping[str, Any], speed: float = SPEED, check: bool = True) -> Iterator[Lab]:
    """Serve a cluster; at the end every request that was sent is held against the published schema."""
    AREA.mkdir(parents=True, exist_ok=True)
    if isinstance(cluster, Mapping):
        path = AREA / f"cluster-{os.getpid()}.yml"
        path.write_text(yaml.safe_dump(dict(cluster), sort_keys=False), encoding="utf-8")
    else:
        path = cluster
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "--cluster", str(path), "--port", "0", "--speed", str(speed)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the lab did not start with {path}"
        lab = Lab(json.loads(line), process, speed)
        yield lab
        if check and PUBLISHED.exists():
            wrong = sorted(set(Schema().violations(lab.requests())))
            assert not wrong, "requests that Proxmox VE does not publish:\n" + "\n".join(wrong)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@dataclass(slots=True)
class Outcome:
    """How a playbook ended and what it printed."""

    code: int
    text: str

    def __contains__(self, part: str) -> bool:
        return part in self.text


def play(
    playbook: Path | str,
    lab: Lab,
    *arguments: str,
    variables: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    inventory: Path | None = None,
) -> Outcome:
    """Run a playbook on the controller against the lab, as an operator would.

    :param inventory: of :mod:`lab.node_hosts`, whose hosts have a Python of their own.
    """
    given = {**stage(lab), **(variables or {})}
    if inventory is None:
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(playbook), *arguments]
        given = {"ansible_python_interpreter": sys.executable, **given}
    else:
        command = ["ansible-playbook", "-i", str(inventory), str(playbook), *arguments]
    command += ["-e", json.dumps(given)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=HERE,
        timeout=600,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            # Tables wrap their cells to the width of the terminal.
            "COLUMNS": "160",
            **lab.environment,
            **(environment or {}),
        },
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def stage(lab: Lab) -> dict[str, Any]:
    """Variables by which a test playbook sets the stage; a genuine cluster's inventory gives ``stage: ssh``."""
    return {"stage": "lab", "stage_url": lab.info["control"]}
