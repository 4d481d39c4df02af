# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lab``: serve a simulated cluster until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from lab.cluster_file import ClusterFileError, load
from lab.http.ca import Authority
from lab.http.server import Server
from lab.pve.cluster import Cluster
from lab.state_dir import StateError, is_state, load_state, save

PASSWORD = "lab"
TOKEN = "root@pam!lab"


def main(argv: list[str] | None = None) -> int:
    """0 after a clean end, 2 for input that makes no sense."""
    options = _parser().parse_args(argv)
    try:
        cluster = _cluster(options)
    except (ClusterFileError, StateError) as error:
        return _complain(str(error))
    with tempfile.TemporaryDirectory(prefix="lab-") as scratch:
        folder = (options.state or Path(scratch)) / "tls"
        try:
            asyncio.run(_serve(cluster, Authority(folder), options))
        except OSError as error:
            return _complain(f"cannot listen on {options.host}, port {options.port}: {error.strerror or error}")
        except ValueError as error:
            return _complain(str(error))
    if options.state is not None:
        try:
            save(cluster, options.state)
        except OSError as error:
            return _complain(f"cannot save the state to {options.state}: {error.strerror or error}")
    return 0


def _cluster(options: argparse.Namespace) -> Cluster:
    """What was saved, else what the cluster file describes."""
    if options.state is not None and is_state(options.state):
        return load_state(options.state, speed=options.speed)
    if options.cluster is None:
        raise ClusterFileError("which cluster? Give --cluster FILE, or --state DIR with a saved state")
    return load(options.cluster, speed=options.speed)


def _complain(sentence: str) -> int:
    print(f"lab: {sentence}", file=sys.stderr)
    return 2


def _speed(text: str) -> float:
    if text == "jump":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a speed (a number of virtual seconds per second, or jump)")
    return speed


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port (0 to 65535)")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="Serve a simulated Proxmox VE cluster.")
    parser.add_argument("--cluster", type=Path, metavar="FILE", help="cluster file (see docs/lab.md)")
    parser.add_argument(
        "--port",
        type=_port,
        default=8006,
        metavar="N",
        help="port of the first node, the next node has N+1 …; 0: any free ports",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="virtual seconds per second, or 'jump': each request lets time run to the next event",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="folder to save the state to at the end; a state saved there before is used instead of the cluster file",
    )
    parser.add_argument("--info", type=Path, metavar="FILE", help="write the JSON line there too")
    return parser


async def _serve(cluster: Cluster, authority: Authority, options: argparse.Namespace) -> None:
    server = Server(cluster, authority, options.host)
    await server.start(options.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    line = json.dumps(describe(server, authority))
    if options.info is not None:
        # Whole or not at all: whoever waits for the file must not read half a line.
        options.info.with_suffix(".part").write_text(line + "\n", encoding="utf-8")
        options.info.with_suffix(".part").replace(options.info)
    print(line, flush=True)
    try:
        await server.serve(stop)
    finally:
        await server.close()


def describe(server: Server, authority: Authority) -> dict[str, Any]:
    """What a client needs to know."""
    cluster = server.cluster
    hosts = [server.address(name) for name in cluster.nodes]
    secrets = json.loads(cluster.fs.read("priv/token.cfg") or "{}")
    return {
        "url": f"https://{hosts[0]}",
        "hosts": hosts,
        "nodes": dict(zip(cluster.nodes, hosts, strict=True)),
        "control": server.control_url,
        "ca": str(authority.ca_file.resolve()),
        "user": "root@pam",
        "password": PASSWORD if cluster.users.check_password("root@pam", PASSWORD) else None,
        "token_id": TOKEN if TOKEN in secrets else None,
        "token_secret": secrets.get(TOKEN),
        "pid": os.getpid(),
    }


if __name__ == "__main__":
    sys.exit(main())
