# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates: checked unless told otherwise, and by the CA that was named, whatever the environment says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import from_options
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import Invalid, PermissionDenied
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from tests.bench.adhoc import call
from tests.integration.harness import Lab, running_lab

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
WORLD = certifi.where()
"""CAs of the world, of which none has signed a certificate of the lab."""
WAYS: list[dict[str, Any]] = [
    {"api_user": "root@pam", "api_password": "lab"},
    {"api_token_id": "root@pam!lab"},
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab({"name": "tls", "nodes": ["pve1", "pve2"]}) as running:
        yield running


@pytest.fixture(params=WAYS, ids=["password", "token"])
def way(request: pytest.FixtureRequest, lab: Lab) -> dict[str, Any]:
    secret = {} if "api_password" in request.param else {"api_token_secret": lab.info["token_secret"]}
    return {"api_host": lab.info["hosts"], **request.param, **secret}


@pytest.fixture(autouse=True)
def bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


def version(options: dict[str, Any]) -> str:
    return str(Session(from_options(options)).get("/version")["version"])


@pytest.mark.parametrize("bundle", ["", *BUNDLES])
def test_the_ca_that_is_named_counts_whatever_the_environment_says(
    lab: Lab, way: dict[str, Any], bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bundle:
        monkeypatch.setenv(bundle, WORLD)
    assert version({**way, "ca_path": lab.info["ca"]}) == "9.2.11"


@pytest.mark.parametrize("bundle", ["", *BUNDLES])
@pytest.mark.parametrize("ca", [None, WORLD], ids=["none", "wrong"])
def test_without_the_right_ca_nobody_is_trusted(
    way: dict[str, Any], ca: str | None, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bundle:
        monkeypatch.setenv(bundle, WORLD)
    with pytest.raises(PermissionDenied, match=r"The certificate of \S+ is not trusted \(.+\): set ca_path") as caught:
        version({**way, "ca_path": ca})
    assert "\n" not in caught.value.message


def test_a_ca_that_is_wrong_wins_over_a_bundle_that_is_right(
    lab: Lab, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", lab.info["ca"])
    with pytest.raises(PermissionDenied, match="is not trusted"):
        version({**way, "ca_path": WORLD})


def test_without_ca_path_a_bundle_stands_for_the_cas_of_the_system(
    lab: Lab, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", lab.info["ca"])
    assert version(way) == "9.2.11"


def test_only_who_says_so_goes_without(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", WORLD)
    assert version({**way, "validate_certs": False}) == "9.2.11"


def test_a_file_that_is_not_there_is_named(way: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"gone\.pem.*check ca_path"):
        version({**way, "ca_path": str(tmp_path / "gone.pem")})


def test_a_module_says_it_in_one_sentence(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", lab.info["ca"])
    result = call(lab, "pve.mobility.cluster_info", {"ca_path": WORLD}).result
    assert result["failure"]["kind"] == "permission"
    assert result["msg"].startswith("The certificate of ")
    assert "/etc/pve/pve-root-ca.pem" in result["msg"] and "Traceback" not in str(result)
    assert not call(lab, "pve.mobility.cluster_info", {}).result.get("failed")
