# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lab.cluster_file``: check a cluster file, or generate one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from lab.cluster_file import ClusterFileError, load
from lab.cluster_file.generate import generate


def main(argv: list[str] | None = None) -> int:
    """0: done; 2: the file or the arguments make no sense."""
    parser = argparse.ArgumentParser(prog="python -m lab.cluster_file", description="Work with cluster files.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read a cluster file and say what it describes")
    check.add_argument("file", type=Path)
    make = commands.add_parser("generate", help="print a cluster file of any size")
    make.add_argument("--nodes", type=int, default=3)
    make.add_argument("--guests", type=int, default=30)
    make.add_argument("--seed", type=int, default=1)
    make.add_argument("--release", type=float, default=9.2)
    options = parser.parse_args(argv)
    try:
        if options.command == "generate":
            content = generate(options.nodes, options.guests, options.seed, options.release)
            yaml.safe_dump(content, sys.stdout, sort_keys=False, default_flow_style=None, width=120)
        else:
            cluster = load(options.file)
            running = sum(len(node.running) for node in cluster.nodes.values())
            print(f"{options.file}: {len(cluster.nodes)} nodes, {len(cluster.fs.vmlist)} guests ({running} running)")
    except (ClusterFileError, ValueError) as error:
        print(f"cluster_file: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
