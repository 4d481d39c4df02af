# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-rulebook with what the collection brings for it: the event source, and the playbooks that rules start."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.integration.clusters import STORAGES
from tests.integration.harness import Lab, running_lab
from tests.package.outside import Outside

CLUSTER = {
    "name": "watched",
    "nodes": ["pve1", "pve2", "pve3"],
    "storages": STORAGES,
    "guests": {
        100: {
            "node": "pve1",
            "name": "db",
            "memory": "1G",
            "disk": "tank:8G",
            "replicate": {"pve2": {"schedule": "*/15", "last_sync": "9h"}},
        },
        101: {"node": "pve3", "name": "web", "memory": "1G", "disk": "ceph:8G"},
    },
    "faults": [{"task": "replicate", "vmid": 100, "phase": "prepare", "effect": {"fail": "ssh: no route to host"}}],
}


class Output:
    """What a program says, as far as it has said it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.text = ""
        self._process = process
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self.text += line
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def wait_for(self, words: str, seconds: float = 120) -> None:
        with self._more:
            said = self._more.wait_for(lambda: words in self.text or self._process.poll() is not None, seconds)
        assert said and words in self.text, f"'{words}' is not in:\n{self.text}"


@contextmanager
def rulebook(place: Outside, lab: Lab, **variables: float) -> Iterator[Output]:
    inventory = place.write("rulebook/inventory.yml", "all: {hosts: {localhost: {ansible_connection: local}}}\n")
    given = place.write("rulebook/vars.yml", yaml.safe_dump(variables))
    command = ["ansible-rulebook", "--rulebook", "pve.mobility.watch_cluster"]
    command += ["--inventory", str(inventory), "--vars", str(given)]
    process = subprocess.Popen(
        command,
        cwd=place.folder,
        env=place.environment(lab.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Output(process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_stale_copy_and_a_node_that_goes_down_start_the_right_playbooks(outside: Outside) -> None:
    place = outside.in_field()
    with running_lab(CLUSTER, speed=1) as lab, rulebook(place, lab, interval=1, confirm=2, rpo=900) as output:
        output.wait_for("PLAY [Audit replication]")
        output.wait_for("1 of 1 copies are not as they should be: 100 db")
        assert "Check what a failover would cost" not in output.text, "no node is down yet"
        lab.control("POST", "/node", {"node": "pve3", "action": "power-off"})
        output.wait_for("PLAY [Check what a failover would cost]")
        output.wait_for("PLAY RECAP")
        # 101 was on pve3: the playbook was told which node it is.
        output.wait_for("101 web")
        lab.control("POST", "/node", {"node": "pve3", "action": "power-on", "boot_seconds": 1})
        output.wait_for("'type': 'node_up'")
        assert lab.writes() == [], "it looks, and changes nothing"
        assert lab.info["token_secret"] not in output.text
