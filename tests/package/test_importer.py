# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy says when the archive is uploaded: its importer, which must have nothing to say."""

from __future__ import annotations

import json
import re
import tarfile
from io import BytesIO
from pathlib import Path

from tests.package.outside import Outside

STAND_IN = "https://pve-mobility.invalid/"
"""Galaxy wants the address of a repository. While galaxy.yml names none, the checked copy has one that cannot exist."""


def with_a_repository(archive: Path, folder: Path) -> Path:
    """The archive as it would be uploaded."""
    with tarfile.open(archive) as before:
        opened = before.extractfile("MANIFEST.json")
        assert opened is not None
        manifest = json.load(opened)
        if manifest["collection_info"]["repository"]:
            return archive
        manifest["collection_info"]["repository"] = STAND_IN
        text = json.dumps(manifest).encode()
        with tarfile.open(folder / archive.name, "w:gz") as after:
            for member in before.getmembers():
                if member.name == "MANIFEST.json":
                    member.size = len(text)
                    after.addfile(member, BytesIO(text))
                else:
                    after.addfile(member, before.extractfile(member) if member.isfile() else None)
    return folder / archive.name


def test_the_importer_of_galaxy_has_nothing_to_say(archive: Path, outside: Outside, tmp_path: Path) -> None:
    # It runs ansible-lint too, which make lint does with the same profile; twice would cost a minute.
    environment = {"GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false"}
    command = ("python", "-m", "galaxy_importer.main", str(with_a_repository(archive, tmp_path)))
    done = outside.in_field().run(*command, environment=environment)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Importer processing completed successfully" in said, said
    assert re.findall(r"^.*\b(?:WARNING|ERROR)\b.*$", said, re.MULTILINE) == []
    assert set(re.findall(r"Loading role (\w+)", said)) == {
        path.name for path in (outside.collection / "roles").iterdir()
    }
