# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, and installed from the archive where there is nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.package.outside import Outside
from tools.tree import sync


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(folder)]
    done = subprocess.run(command, cwd=sync(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="session")
def outside(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """A folder and a home of its own, with the collection alone."""
    place = Outside(tmp_path_factory.mktemp("outside"), os.environ["PATH"])
    done = place.run("ansible-galaxy", "collection", "install", "--offline", "-p", "collections", str(archive))
    assert done.returncode == 0, done.stdout + done.stderr
    return place
