# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lab.many``: serve many simulated clusters in one process, until SIGTERM or SIGINT.

Writes an inventory with one host a cluster, ``cluster01`` and so on, and the variables that the playbooks of the
collection take, then prints one JSON line: the inventory, and for each host what ``python -m lab`` says.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from lab.__main__ import describe
from lab.cluster_file import ClusterFileError, load
from lab.http.ca import Authority
from lab.http.server import Server

CLUSTER = Path(__file__).parent / "clusters" / "small.yml"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.many", description="Serve many simulated clusters.")
    parser.add_argument("--cluster", type=Path, default=CLUSTER, metavar="FILE", help="cluster file (%(default)s)")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="how many of it (%(default)s)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="virtual seconds per second (1)")
    parser.add_argument("--inventory", type=Path, required=True, metavar="FILE", help="the inventory to write")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="labs-") as scratch:
        try:
            asyncio.run(_serve(options, Path(scratch)))
        except (ClusterFileError, OSError) as error:
            print(f"lab.many: {error}", file=sys.stderr)
            return 2
    return 0


async def _serve(options: argparse.Namespace, scratch: Path) -> None:
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        infos: dict[str, dict[str, Any]] = {}
        servers = []
        # One CA for all: a client that knows one cluster's would trust the others too, which matters to nobody here.
        authority = Authority(scratch / "tls")
        for number in range(1, options.count + 1):
            server = Server(load(options.cluster, speed=options.speed), authority)
            stack.push_async_callback(server.close)
            await server.start(0)
            servers.append(server)
            infos[f"cluster{number:02}"] = describe(server, authority)
        options.inventory.write_text(_inventory(infos), encoding="utf-8")
        print(json.dumps({"inventory": str(options.inventory), "clusters": infos}), flush=True)
        await asyncio.wait(
            [asyncio.create_task(server.serve(stop)) for server in servers], return_when=asyncio.FIRST_COMPLETED
        )


def _inventory(infos: dict[str, dict[str, Any]]) -> str:
    hosts = {}
    for name, info in infos.items():
        user, _mark, token = str(info["token_id"]).partition("!")
        hosts[name] = {
            "pve_api_host": info["hosts"],
            "pve_api_user": user,
            "pve_api_token_id": token,
            "pve_ca_path": info["ca"],
        }
    return yaml.safe_dump({"clusters": {"hosts": hosts}}, sort_keys=False)


if __name__ == "__main__":
    sys.exit(main())
