# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation as HTML into ``build/docs``; a warning about a page of ours is an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.area import AREA, CHECKOUT, COLLECTIONS, link
from tools.tree import sync

FOLDER = AREA / "docs"
LOOK = CHECKOUT / "docs" / "docsite" / "look.css"
TITLE = "pve.mobility: guests, disks and replicas of Proxmox VE"
# What the template of antsibull-docs asks of other sites, of which only Ansible's own matters here.
SETTINGS = """
intersphinx_mapping = {"ansible_devel": intersphinx_mapping["ansible_devel"]}
html_theme_options = {"topbar_links": {}}
html_static_path = ["static"]
html_css_files = ["look.css"]
"""
_FOREIGN = re.compile(
    r"failed to reach any of the inventories|^intersphinx inventory|^\S+ not readable"
    r"|undefined label: '(?!ansible_collections\.pve\.mobility\.)"
)


def ours(warnings: Iterable[str]) -> Iterator[str]:
    """Warnings of Sphinx, but for links into Ansible's documentation, which need the network."""
    return (line for line in warnings if line.strip() and not _FOREIGN.search(line))


def main() -> int:
    sync()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    look = ("--project", "pve.mobility", "--copyright", "pve.mobility contributors", "--title", TITLE)
    template = ("--lenient", "--use-current", "--squash-hierarchy", "--html-short-title", "pve.mobility", *look)
    if not _run("antsibull-docs", "sphinx-init", *template, "--dest-dir", str(FOLDER), "pve.mobility"):
        return 1
    with (FOLDER / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(SETTINGS)
    (FOLDER / "static").mkdir()
    shutil.copy(LOOK, FOLDER / "static")
    pages = ("--cleanup", "everything", "--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", "rst")
    (FOLDER / "rst").mkdir(mode=0o755, exist_ok=True)
    if not _run("antsibull-docs", "--config-file", "antsibull-docs.cfg", "collection", *pages, "pve.mobility"):
        return 1
    _name_sections(FOLDER / "rst" / "index.rst")
    noted = FOLDER / "warnings.txt"
    if not _run("sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-w", str(noted), "--keep-going"):
        return 1
    wrong = list(ours(noted.read_text(encoding="utf-8").splitlines()))
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        print("The documentation has mistakes (see above).", file=sys.stderr)
        return 1
    link("docs", FOLDER)
    print(f"open {os.path.relpath(FOLDER / 'build' / 'html' / 'index.html', Path.cwd())}")
    return 0


def _name_sections(index: Path) -> None:
    """Give the navigation the titles of the sections, which by themselves are headings of this page alone."""
    done: list[str] = []
    title = ""
    for line in index.read_text(encoding="utf-8").replace("Pve.Mobility", "pve.mobility").splitlines():
        if re.fullmatch(r"([=~-])\1{3,}", line):
            title = {"Role Index": "Roles"}.get(done[-1], done[-1])
        done.append(line)
        if line.strip().startswith(":maxdepth:") and title:
            done.append(line.replace(":maxdepth: 1", f":caption: {title}"))
    index.write_text("\n".join(done) + "\n", encoding="utf-8")


def _run(*command: str) -> bool:
    outcome = subprocess.run(
        command,
        cwd=FOLDER,
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        print(outcome.stdout, outcome.stderr, sep="", file=sys.stderr)
        print(f"The documentation was not built: {' '.join(command)} failed (see above).", file=sys.stderr)
    return not outcome.returncode


if __name__ == "__main__":
    sys.exit(main())
