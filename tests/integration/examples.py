# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the examples out of the pages of the documentation, and run them as a reader would.

What counts as an example, in ``.. code-block::`` of a page and in fences of a README:

* ``yaml``: a playbook, tasks, or what a comment before it gives a file name;
* ``console``: commands after ``$``, and what they print; ``bash``: commands alone;
* ``text``: what the example before it prints.

Printed lines must really come; numbers, sizes and durations in them stand for any, ``…`` for any text. Comments, which
no reader sees, set the stage: ``lab: FILE [SPEED]`` serves a cluster of ``docs/labs``; ``stage: METHOD PATH BODY`` asks
its control path; ``file: NAME`` keeps the next block as a file; ``with: YAML`` gives variables to the next block;
``fails`` says that the next block does, as its text tells; ``untried: WHY`` that it cannot be run here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.node_hosts import write
from tests.integration.harness import Lab, running_lab
from tools.area import CHECKOUT, COLLECTIONS
from tools.tree import sync

LABS = CHECKOUT / "docs" / "labs"
ORDERS = ("lab", "stage", "file", "with", "fails", "untried")
PROGRAMS = ("ansible-playbook", "ansible-galaxy", "ansible-doc", "ansible-runner", "make", "pip", "export", "python")
SPEED = 100.0

_ORDER = re.compile(rf"(?:\.\. |<!-- )({'|'.join(ORDERS)})(?:: (.*?))?(?: -->)?$")
_BLOCK = re.compile(r"(\s*)\.\. code-block:: (\w+)$")
_FENCE = re.compile(r"(\s*)```(\w+)$")


@dataclass(frozen=True, slots=True)
class Piece:
    """An order of a comment, or an example. ``line`` counts from 1."""

    kind: str
    text: str
    line: int


def pieces(page: Path) -> Iterator[Piece]:
    """What a page has for the test, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if order := _ORDER.match(line):
            yield Piece(order[1], order[2] or "", number)
        elif block := _BLOCK.match(line):
            start = number
            while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > len(block[1])):
                number += 1
            yield Piece(block[2], _body(lines[start:number]), start)
        elif fence := _FENCE.match(line):
            start = number
            while not lines[number].strip().startswith("```"):
                number += 1
            yield Piece(fence[2], _body(lines[start:number]), start)
            number += 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _body(lines: list[str]) -> str:
    """The block without its options and without the indentation of the page."""
    lines = [line for line in lines if not re.match(r"\s+:[\w-]+:", line)]
    depth = min((_indent(line) for line in lines if line.strip()), default=0)
    return "\n".join(line[depth:] for line in lines).strip("\n") + "\n"


def missing(printed: str, said: str) -> list[str]:
    """Lines of the page that nothing has printed."""
    known = _plain(said)
    lines = [line for line in printed.splitlines() if line.strip(" …")]
    return [line for line in lines if not re.search(re.escape(_plain(line)).replace("…", ".*"), known)]


def _plain(text: str) -> str:
    """With one word for whatever may be different the next time: durations, sizes, numbers, widths of columns."""
    text = re.sub(r"[^\S\n]+", " ", text).strip(" ")
    text = re.sub(r"(?<![\w-])\d+ (?:h|min|s|ms)\b(?: \d+ (?:min|s)\b)*", "<time>", text)
    text = re.sub(r"(?<![\w-])[\d.]+ [KMGT]?i?B\b", "<size>", text)
    return re.sub(r"(?<![\w-])\d+(?:[.,]\d+)*", "<number>", text)


@dataclass(slots=True)
class Reader:
    """Reads a page from top to bottom, and does what it says. ``folder`` is where the reader works."""

    page: Path
    folder: Path
    lab: Lab | None = None
    inventory: Path | None = None
    token: dict[str, str] = field(default_factory=dict)
    said: str = ""
    fails: bool = False
    untried: bool = False
    plays: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    file: str = ""
    aloud: bool = False
    _labs: ExitStack = field(default_factory=ExitStack)

    def read(self) -> None:
        with self._labs:
            for piece in pieces(self.page):
                try:
                    self._take(piece)
                except AssertionError as wrong:
                    raise AssertionError(f"{self.page.name}:{piece.line}: {wrong}") from wrong
            self._perform()

    def _take(self, piece: Piece) -> None:
        if piece.kind != "yaml" or self.file:
            self._perform()
        match piece.kind:
            case "lab":
                name, _blank, speed = piece.text.partition(" ")
                self.serve(LABS / name, float(speed or SPEED))
            case "stage":
                method, path, *body = piece.text.split(" ", 2)
                assert self.lab is not None, "there is no lab to set a stage in"
                self.lab.control(method, path, json.loads(body[0]) if body else None)
            case "file":
                self.file = piece.text
            case "with":
                self.variables = yaml.safe_load(self._real(piece.text))
            case "fails":
                self.fails = True
            case "untried":
                assert piece.text, "say why the next block is not run"
                self.untried = True
            case _ if self.untried:
                self.untried = False
            case "yaml" if self.file:
                (self.folder / self.file).write_text(self._real(piece.text), encoding="utf-8")
                self.file = ""
            case "yaml":
                self._collect(yaml.safe_load(self._real(piece.text)))
            case "bash":
                self._console("".join(f"$ {line}\n" for line in piece.text.replace("\\\n", " ").splitlines()))
            case "console":
                self._console(piece.text)
            case "text":
                lost = missing(piece.text, self.said)
                assert not lost, f"this was not printed: {lost}\nbut this:\n{self.said}"
            case other:
                raise AssertionError(f"no example can be in the language {other}")

    def _collect(self, block: Any) -> None:
        """Plays that follow each other are run together."""
        assert isinstance(block, list), "neither a playbook nor tasks; the comment file: makes a file of it"
        if "hosts" not in block[0]:
            block = [{"name": "Tasks of a page", "hosts": "localhost", "gather_facts": False, "tasks": block}]
        for play in block:
            self.plays.append({**play, "vars": {**self.variables, **play.get("vars", {})}})
        self.variables = {}
        if self.fails:
            self._perform()

    def _perform(self) -> None:
        if self.plays:
            (self.folder / "playbook.yml").write_text(yaml.safe_dump(self.plays, sort_keys=False), encoding="utf-8")
            self.plays = []
            self._run(["ansible-playbook", "playbook.yml"])

    def _console(self, text: str) -> None:
        printed: list[str] = []
        commands: list[tuple[str, list[str]]] = []
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                printed = []
                commands.append((line[2:], printed))
            else:
                printed.append(line)
        assert commands, "a console block has commands, after $"
        for command, expected in commands:
            self._command(command)
            lost = missing("\n".join(expected), self.said)
            assert not lost, f"{command} did not print: {lost}\nbut this:\n{self.said}"

    def _command(self, command: str) -> None:
        words = shlex.split(self._real(command), comments=True)
        assert words[0] in PROGRAMS, f"no reader of a page is to run {words[0]}"
        self.said = ""
        match words:
            case ["export", *settings]:
                # What the page leaves out, such as a secret, is what the lab has.
                pairs = [setting.partition("=")[::2] for setting in settings]
                self.environment |= {name: value for name, value in pairs if "…" not in value}
            case ["make", "lab", *settings]:
                chosen = dict(setting.split("=") for setting in settings)
                self.serve(CHECKOUT / chosen["CLUSTER"], SPEED)
            case ["make", target]:
                assert re.search(rf"^(?:\.PHONY:.* )?{target}\b", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
            case _:
                self._run(words)

    def serve(self, cluster: Path, speed: float) -> None:
        self._labs.close()
        assert cluster.exists(), f"there is no {cluster.name}"
        self.lab = self._labs.enter_context(running_lab(cluster, speed))
        self.token = _token(self.lab)
        self.inventory = write(self.folder, self.lab.info["control"], self.lab.info["nodes"])

    def _real(self, text: str) -> str:
        """Names of the documentation become those of the lab."""
        if self.lab is not None:
            for name, address in self.lab.info["nodes"].items():
                text = text.replace(f"{name}.example.org", address)
            text = text.replace("pve-root-ca.pem", self.lab.info["ca"])
        return text

    def _run(self, words: list[str]) -> None:
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_PIPELINING": "1",
            "COLUMNS": "200",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "HOME": str(self.folder),
            "PWD": str(self.folder),
        }
        if self.lab is not None:
            environment |= self.lab.environment | self.token | self.environment
        if words[0] == "ansible-playbook":
            words = [*words, *([] if "-i" in words else ["-i", str(self.inventory)])]
        done = subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        self.said = done.stdout + done.stderr
        expected, self.fails = self.fails, False
        if self.aloud:
            print(f"$ {shlex.join(words)}\n{self.said}")
        assert (done.returncode != 0) == expected, f"{shlex.join(words)} ended with {done.returncode}:\n{self.said}"


def _token(lab: Lab) -> dict[str, str]:
    """The token that the documentation speaks of, where the cluster has it."""
    users = {row["userid"] for row in lab.api("/access/users")}
    if "ansible@pve" not in users:
        return {}
    secret = "11111111-2222-4333-8444-555555555555"
    return {"PROXMOX_USER": "ansible@pve", "PROXMOX_TOKEN_ID": "mobility", "PROXMOX_TOKEN_SECRET": secret}


def main(arguments: list[str]) -> int:
    """Show what the examples of pages print: ``python -m tests.integration.examples PAGE...``."""
    sync()
    for name in arguments:
        with tempfile.TemporaryDirectory() as folder:
            try:
                Reader(Path(name), Path(folder), aloud=True).read()
            except AssertionError as wrong:
                print(wrong, flush=True)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
