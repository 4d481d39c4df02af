# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each layer imports only what the architecture allows it: a table, and one test a row."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.pve.mobility"
UTILS = f"{COLLECTION}.plugins.module_utils"
PLUGIN_UTILS = f"{COLLECTION}.plugins.plugin_utils"


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder, and the packages that it may import beside the standard library and itself."""

    folder: str
    allowed: tuple[str, ...]
    forbidden: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        path = self.folder.replace("/", ".")
        return f"{COLLECTION}.{path}" if self.folder.startswith("plugins/") else path


LAYERS = (
    Layer("plugins/module_utils/model", allowed=()),
    Layer("plugins/module_utils/checks", allowed=(f"{UTILS}.model",)),
    Layer("plugins/module_utils/planning", allowed=(f"{UTILS}.model", f"{UTILS}.checks")),
    # The session decides nothing; it may put answers into the types of the model.
    Layer("plugins/module_utils/api", allowed=(f"{UTILS}.model", "proxmoxer", "requests", "urllib3")),
    Layer(
        "plugins/module_utils/execution",
        allowed=(f"{UTILS}.api", f"{UTILS}.model", f"{UTILS}.checks", f"{UTILS}.planning"),
    ),
    Layer("plugins/modules", allowed=("ansible.module_utils", UTILS), forbidden=("proxmoxer", "requests")),
    Layer("plugins/action", allowed=("ansible", UTILS, PLUGIN_UTILS)),
    Layer("plugins/plugin_utils", allowed=("ansible", UTILS, "jinja2", "jmespath")),
    Layer("plugins/doc_fragments", allowed=()),
    # A witness that shares nothing with what it testifies about.
    Layer("lab", allowed=("aiohttp", "simpy", "yaml", "cryptography")),
)
PURE = ("plugins/module_utils/model", "plugins/module_utils/checks", "plugins/module_utils/planning")
# What a layer without input and output has no use for.
IMPURE = {
    "http",
    "io",
    "os",
    "pathlib",
    "random",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "time",
    "urllib",
}


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, wherever in the file and however written."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # "from .. import model" names the layer only in the alias.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def trespasses(layer: Layer, root: Path = CHECKOUT) -> list[str]:
    found = []
    for path in sorted((root / layer.folder).rglob("*.py")):
        parts = path.relative_to(root / layer.folder).with_suffix("").parts
        module = ".".join((layer.package, *parts)).removesuffix(".__init__")
        for line, name in imports(path, module):
            top = name.partition(".")[0]
            fine = top in sys.stdlib_module_names or within(name, (layer.package, *layer.allowed))
            # "from ansible_collections.pve.mobility.plugins import module_utils" would open every layer at once.
            if not fine or within(name, layer.forbidden) or (layer.folder in PURE and top in IMPURE):
                found.append(f"{path.relative_to(root)}:{line}: {layer.folder} must not import {name}")
    return found


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.folder)
def test_a_layer_imports_only_what_it_may(layer: Layer) -> None:
    found = trespasses(layer)
    assert not found, "\n" + "\n".join(found)


def test_every_folder_of_module_utils_is_a_known_layer() -> None:
    known = {layer.folder.rpartition("/")[2] for layer in LAYERS}
    root = CHECKOUT / "plugins" / "module_utils"
    folders = {path.relative_to(root).parts[0] for path in root.rglob("*.py") if path.parent != root}
    assert folders <= known


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("plugins/module_utils/model", "import requests"),
        ("plugins/module_utils/model", "from ..api import session"),
        ("plugins/module_utils/model", "from .. import api"),
        ("plugins/module_utils/model", "def late():\n    import time"),
        ("plugins/module_utils/checks", "from ..planning.order import order"),
        ("plugins/module_utils/planning", f"from {UTILS}.api.session import Session"),
        ("plugins/module_utils/api", "from ..execution import move"),
        ("plugins/module_utils/execution", "from ansible.module_utils.basic import AnsibleModule"),
        ("plugins/modules", "import proxmoxer"),
        ("plugins/modules", f"from {COLLECTION}.plugins import plugin_utils"),
        ("lab", f"from {UTILS}.model import guest"),
        ("lab", "import ansible"),
        ("lab", "from plugins.module_utils import model"),
    ],
)
def test_the_rule_sees_a_trespass(tmp_path: Path, folder: str, line: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "intruder.py").write_text(line + "\n", encoding="utf-8")
    layer = next(layer for layer in LAYERS if layer.folder == folder)
    assert len(trespasses(layer, tmp_path)) == 1


def test_the_rule_lets_the_allowed_pass(tmp_path: Path) -> None:
    (tmp_path / "plugins/module_utils/checks").mkdir(parents=True)
    text = "from __future__ import annotations\nimport enum\nfrom ..model.guest import Guest\nfrom . import cpu\n"
    (tmp_path / "plugins/module_utils/checks/good.py").write_text(text, encoding="utf-8")
    assert trespasses(LAYERS[1], tmp_path) == []
