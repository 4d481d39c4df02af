# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record an exchange with a cluster: ``python -m tests.conformance.record NAME METHOD PATH [KEY=VALUE...]``.

Writes ``recorded/NAME.json``, a line of ``INDEX.tsv``, and when a task was started and has ended, its status and log.
The cluster comes from ``PROXMOX_HOST``, ``PROXMOX_USER``, ``PROXMOX_TOKEN_ID``, ``PROXMOX_TOKEN_SECRET`` and
``PROXMOX_CA_PATH``. It sends what it is told, writes included: use a test cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.scene import RECORDED

_HEADERS = ("Server", "Content-Length", "Content-Type")
_SECRET = ("password", "ticket", "CSRFPreventionToken", "value")
"""Keys whose values are never kept; ``value`` is the secret of a token that was created."""


@dataclass(frozen=True, slots=True)
class Recorder:
    host: str
    token: str
    ca: str
    node: str
    folder: Path

    def record(self, name: str, method: str, path: str, params: dict[str, str]) -> Any:
        """Send it, keep it, and return its data."""
        exchange = self._ask(method, path, params)
        self._keep(name, exchange)
        body = exchange["body"]
        return body.get("data") if isinstance(body, dict) else None

    def _ask(self, method: str, path: str, params: dict[str, str]) -> dict[str, Any]:
        query = urllib.parse.urlencode(params)
        reading = method in ("GET", "DELETE")
        request = urllib.request.Request(
            f"https://{self.host}/api2/json{path}{'?' + query if query and reading else ''}",
            None if reading else query.encode(),
            {"Authorization": f"PVEAPIToken={self.token}"},
            method=method,
        )
        try:
            answer = urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.ca), timeout=60)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            text = answer.read().decode()
            status, reason = answer.status, answer.reason
            headers = {key: answer.headers[key] for key in _HEADERS if answer.headers[key]}
        body = json.loads(text) if text.strip().startswith("{") else text
        asked = {"method": method, "path": path, "params": params, "auth": "token", "sent_to_node": self.node}
        return {"request": asked, "status": status, "reason": reason, "headers": headers, "body": body}

    def _keep(self, name: str, exchange: dict[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(_scrubbed(exchange), indent=1) + "\n", encoding="utf-8")
        index = self.folder / "INDEX.tsv"
        rows = index.read_text(encoding="utf-8").splitlines() if index.exists() else []
        number = max((int(row.partition("\t")[0]) for row in rows if row[:1].isdigit()), default=0) + 1
        with index.open("a", encoding="utf-8") as lines:
            asked = exchange["request"]
            row = (number, f"{name}.json", asked["method"], asked["path"], exchange["status"], exchange["reason"], "")
            lines.write("\t".join(map(str, row)) + "\n")

    def task(self, name: str, upid: str, patience: float) -> None:
        """The end of a task and its whole log."""
        path = f"/nodes/{upid.split(':')[1]}/tasks/{upid}"
        until = time.monotonic() + patience
        while self._ask("GET", f"{path}/status", {})["body"]["data"]["status"] != "stopped":
            if time.monotonic() > until:
                raise TimeoutError(
                    f"{upid} has not ended in {patience:.0f} s: record it again with a larger --patience."
                )
            time.sleep(1)
        self.record(f"{name}.task-status", "GET", f"{path}/status", {})
        self.record(f"{name}.task-log", "GET", f"{path}/log", {"limit": "0"})


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "SCRUBBED" if key in _SECRET and item else _scrubbed(item) for key, item in value.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list) else value


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.record", description=__doc__)
    parser.add_argument("name", help="of the recording, such as qemu-start-twice")
    parser.add_argument("method", choices=("GET", "POST", "PUT", "DELETE"))
    parser.add_argument("path", help="below /api2/json")
    parser.add_argument("params", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--node", default="pve1", help="the node that is asked (%(default)s)")
    parser.add_argument("--folder", type=Path, default=RECORDED)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for a task (%(default)s)")
    given = parser.parse_args(argv)
    variables = {name: os.environ.get(f"PROXMOX_{name}", "") for name in ("HOST", "USER", "TOKEN_ID", "TOKEN_SECRET")}
    if missing := [f"PROXMOX_{name}" for name, value in variables.items() if not value]:
        print(f"Which cluster? Set {', '.join(missing)}.", file=sys.stderr)
        return 2
    host = variables["HOST"].split(",")[0]
    token = f"{variables['USER']}!{variables['TOKEN_ID']}={variables['TOKEN_SECRET']}"
    ca = os.environ.get("PROXMOX_CA_PATH", "")
    recorder = Recorder(host if ":" in host else f"{host}:8006", token, ca, given.node, given.folder)
    params = dict(word.split("=", 1) for word in given.params)
    data = recorder.record(given.name, given.method, given.path, params)
    if isinstance(data, str) and data.startswith("UPID:"):
        recorder.task(given.name, data, given.patience)
    print(f"{given.folder / given.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
