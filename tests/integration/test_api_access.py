# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``api_access``: accounts that can do what they are for, and no more; and secrets that nobody sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.api.errors import MobilityError
from ansible_collections.pve.mobility.plugins.module_utils.execution.api_access import from_options, run
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import FEATURES, Feature
from tests.bench.adhoc import call as adhoc
from tests.conformance.client import Lab
from tests.integration.as_user import Outcome, call, grant
from tests.integration.harness import play, running_lab
from tests.integration.inprocess import LabSession
from tests.integration.privilege_cases import CLUSTER, Case, cases

OWN = "token:mobility@pve!ansible"
ROOT = "/access/roles"


def keep(lab: Lab, folder: Path, *features: str, **options: Any) -> Outcome:
    check = options.pop("check", False)
    auth = options.pop("auth", "root-token")
    given = {"features": list(features), "secret_file": str(folder / "secret"), **options}
    return call(lab, "api_access", given, auth, check)


def fine(outcome: Outcome) -> dict[str, Any]:
    assert not outcome.failed, outcome.result["msg"]
    return outcome.result


def start(release: str = "9.2", **more: Any) -> Lab:
    return Lab.from_dict({**CLUSTER, "node_defaults": {"release": release}, **more})


def of_feature(feature: Feature, folder: Path) -> list[Case]:
    """Cases that a feature is meant to be enough for; those that only add to another are run with that one."""
    bases = {id.partition(".")[0] for id in feature.uses if "." not in id}
    return [case for case in cases(folder) if case.id in feature.uses and case.use.module in bases]


WHOLE = [feature for feature in FEATURES if any("." not in id for id in feature.uses)]


@pytest.mark.parametrize("release", ["9.2", "8.4"])
@pytest.mark.parametrize("feature", WHOLE, ids=lambda feature: feature.name)
def test_a_feature_is_enough_for_what_it_says(feature: Feature, release: str, tmp_path: Path) -> None:
    for case in of_feature(feature, tmp_path):
        lab = case.lab(release)
        fine(keep(lab, tmp_path, feature.name, user="mobility@pve"))
        more = case.before(lab)
        outcome = call(lab, case.use.module, {**case.options, **more}, OWN)
        assert not outcome.failed, f"{case.id}: {outcome.result['msg']}"
        assert bool(outcome.writes) == case.writes
        for left in tmp_path.iterdir():
            left.unlink()


@pytest.mark.parametrize(
    ("feature", "id"),
    [
        ("migrate", "migrate.target_storage"),
        ("move_disk", "move_disk.stop"),
        ("drain_storage", "drain_storage.stop"),
        ("drain", "drain.stop"),
        ("drain", "drain.stop_ha"),
        ("replication", "replication_policy.ha_create"),
        ("migrate", "migrate.sync"),
    ],
)
def test_a_feature_that_adds_is_needed_and_enough(feature: str, id: str, tmp_path: Path) -> None:
    case = next(case for case in cases(tmp_path) if case.id == id)
    adding = next(item.name for item in FEATURES if id in item.uses and item.name != feature)
    for features in ([feature], [feature, adding]):
        lab = case.lab("9.2")
        fine(keep(lab, tmp_path, *features))
        outcome = call(lab, case.use.module, case.options, OWN)
        assert outcome.failed == (features == [feature]), f"{features}: {outcome.said[:400]}"
        if outcome.failed:
            assert outcome.result["failure"]["kind"] == "permission"


def test_a_pool_is_as_far_as_it_goes(tmp_path: Path) -> None:
    lab = start(pools={"shop": {"guests": [100]}})
    fine(keep(lab, tmp_path, "audit", "migrate", pools=["shop"]))
    assert fine(call(lab, "migrate", {"guest": "100", "target": ["pve2"]}, OWN))["moved"]
    other = call(lab, "migrate", {"guest": "102", "target": ["pve2"]}, OWN)
    assert other.result["failure"]["privileges"] == ["VM.Migrate"]
    assert fine(call(lab, "cluster_info", {"subset": ["all"]}, OWN))["unknown"] == []


def test_drift_is_shown_repaired_and_stays_repaired(tmp_path: Path) -> None:
    lab = start()
    fine(keep(lab, tmp_path, "audit", "migrate"))
    assert fine(keep(lab, tmp_path, "audit", "migrate"))["changed"] is False
    lab.put(f"{ROOT}/mobility-vms", {"privs": "VM.Audit,VM.Allocate"})
    lab.put(f"{ROOT}/mobility-nodes", {"privs": ""})
    acl = {"path": "/storage", "roles": "mobility-storage", "tokens": "mobility@pve!ansible", "delete": 1}
    lab.put("/access/acl", acl)
    lab.put("/access/acl", {"path": "/", "roles": "mobility-cluster", "users": "mobility@pve", "propagate": 1})
    shown = keep(lab, tmp_path, "audit", "migrate", check=True)
    assert shown.writes == []
    assert fine(shown)["steps"] == [
        "take mobility-cluster on / from mobility@pve",
        "mend the role mobility-nodes: add Sys.Audit",
        "mend the role mobility-vms: add VM.Migrate; take away VM.Allocate",
        "give mobility@pve mobility-cluster on /",
        "give mobility@pve!ansible mobility-storage on /storage",
    ]
    assert "role mobility-vms: VM.Allocate, VM.Audit\n" in shown.result["diff"]["before"]
    assert "role mobility-vms: VM.Audit, VM.Migrate\n" in shown.result["diff"]["after"]
    assert fine(keep(lab, tmp_path, "audit", "migrate"))["steps"] == shown.result["steps"]
    assert lab.get(f"{ROOT}/mobility-vms") == {"VM.Audit": 1, "VM.Migrate": 1}
    assert fine(keep(lab, tmp_path, "audit", "migrate"))["changed"] is False
    less = fine(keep(lab, tmp_path, "audit"))
    assert less["steps"] == ["mend the role mobility-vms: take away VM.Migrate"]


def test_an_account_with_other_rights_is_refused_or_emptied(tmp_path: Path) -> None:
    lab = start(users={"boss@pve": {"password": "x"}}, acl=[{"path": "/", "who": "boss@pve", "role": "PVEAdmin"}])
    refused = keep(lab, tmp_path, "audit", user="boss@pve")
    assert refused.result["failure"]["kind"] == "conflict"
    assert refused.result["failure"]["foreign"] == [{"path": "/", "who": "boss@pve", "role": "PVEAdmin"}]
    assert refused.writes == []
    fine(keep(lab, tmp_path, "audit", user="boss@pve", exclusive=True))
    assert not any(row["roleid"] == "PVEAdmin" for row in lab.get("/access/acl"))


def test_the_secret_is_in_its_file_and_nowhere_else(tmp_path: Path) -> None:
    lab = start()
    foreseen = keep(lab, tmp_path, "audit", check=True)
    assert not (tmp_path / "secret").exists()
    made = keep(lab, tmp_path, "audit")
    secret = (tmp_path / "secret").read_text(encoding="utf-8").strip()
    assert lab.cluster.users.verify_token(f"mobility@pve!ansible={secret}") is not None
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    again = keep(lab, tmp_path, "audit")
    for outcome in (foreseen, made, again):
        assert secret not in str(fine(outcome))
    assert foreseen.result["steps"] == made.result["steps"]
    renewed = fine(keep(lab, tmp_path, "audit", renew=True))
    other = (tmp_path / "secret").read_text(encoding="utf-8").strip()
    assert renewed["token"]["created"] and other != secret
    assert lab.cluster.users.verify_token(f"mobility@pve!ansible={secret}") is None
    assert lab.get("/version", auth=OWN)
    assert fine(call(lab, "cluster_info", {"subset": ["all"]}, OWN))["unknown"] == []
    (tmp_path / "secret").unlink()
    lost = keep(lab, tmp_path, "audit")
    assert "set renew to replace it" in lost.said and not lost.result["changed"]


@pytest.mark.parametrize("file", [None, "missing/secret"])
def test_no_token_is_made_whose_secret_nobody_would_have(file: str | None, tmp_path: Path) -> None:
    lab = start()
    refused = keep(lab, tmp_path, "audit", secret_file=file and str(tmp_path / file))
    assert refused.result["failure"]["kind"] == "invalid"
    assert "secret_file" in refused.result["msg"] and refused.writes == []


def test_everything_can_be_taken_back(tmp_path: Path) -> None:
    lab = start()
    before = {row["roleid"] for row in lab.get(ROOT)}
    fine(keep(lab, tmp_path, "drain", "stop", "replication"))
    gone = keep(lab, tmp_path, state="absent")
    assert fine(gone)["changed"]
    assert {row["roleid"] for row in lab.get(ROOT)} == before
    assert not any(str(row["ugid"]).startswith("mobility@pve") for row in lab.get("/access/acl"))
    assert lab.get("/access/users/mobility@pve/token") == []
    assert fine(keep(lab, tmp_path, state="absent"))["changed"] is False


def test_through_an_old_node_nothing_is_written_that_it_would_drop(tmp_path: Path) -> None:
    lab = start("9.2", nodes={"pve1": {"release": "8.4"}, "pve2": {}, "pve3": {}})
    refused = keep(lab, tmp_path, "replication")
    assert refused.result["failure"]["kind"] == "unsupported"
    assert "api_host" in refused.result["msg"] and refused.writes == []
    lab.first_node = "pve2"
    made = fine(keep(lab, tmp_path, "replication"))
    assert made["releases"] == ["8.4", "9.2"]
    assert "Datastore.Allocate" in made["roles"]["mobility-storage"]
    assert "VM.Replicate" in made["roles"]["mobility-vms"]


def test_a_write_that_fails_says_how_far_it_came(tmp_path: Path) -> None:
    lab = start()

    class Broken(LabSession):
        def _ask(self, method: str, path: str, params: Any) -> Any:
            if method == "POST" and "/token/" in path:
                lab.cluster.users.edit(lambda cfg: cfg.users.pop("mobility@pve", None) and None)
            return super()._ask(method, path, params)

    options = {"features": ["audit"], "user": "mobility@pve", "token": "tt", "role": "m"}
    request = from_options({**options, "secret_file": str(tmp_path / "secret")})
    with pytest.raises(MobilityError, match="steps were done; run this again"):
        run(Broken(lab), request)
    assert list(tmp_path.iterdir()) == []
    assert run(LabSession(lab), request)["changed"]
    assert run(LabSession(lab), request)["changed"] is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "nobody"}, "with its realm"),
        ({"user": "root@pam", "privsep": False}, "leave privsep on"),
        ({"role": "PVEx"}, "not PVE first"),
        ({"token": "1x"}, "begins with a letter"),
        ({"token": "x"}, "two or more"),
        ({"features": []}, "features is empty"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    refused = keep(start(), tmp_path, *options.pop("features", ["audit"]), **options)
    assert refused.result["failure"]["kind"] == "invalid"
    assert words in refused.result["msg"]


def test_who_may_not_give_rights_is_told_which_one_is_missing(tmp_path: Path) -> None:
    lab = start()
    refused = keep(lab, tmp_path, "audit", auth=grant(lab, [("/", "Sys.Audit")]))
    assert refused.result["failure"]["kind"] == "permission"
    assert "Sys.Audit on /access" in refused.result["msg"]
    assert refused.writes == []


def test_it_runs_where_a_umask_would_let_others_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fine(keep(start(), tmp_path, "audit"))
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_the_playbook_shows_it_and_then_does_it(tmp_path: Path) -> None:
    cluster = {**CLUSTER, "pools": {"shop": {"guests": [100]}}}
    password = {
        "PROXMOX_USER": "root@pam",
        "PROXMOX_PASSWORD": "lab",
        "PROXMOX_TOKEN_ID": "",
        "PROXMOX_TOKEN_SECRET": "",
    }
    given = {"features": "audit, migrate", "pools": "shop", "secret_file": str(tmp_path / "secret")}
    with running_lab(cluster) as lab:
        shown = play("pve.mobility.api_access", lab, "--check", "--diff", variables=given, environment=password)
        assert shown.code == 0, shown.text
        assert "+role mobility-guests: VM.Migrate" in shown
        assert "/ (not below)" in shown and "The secret would go to" in shown
        assert lab.writes() == [] and not (tmp_path / "secret").exists()
        done = play("pve.mobility.api_access", lab, variables=given, environment=password)
        assert done.code == 0, done.text
        secret = (tmp_path / "secret").read_text(encoding="utf-8").strip()
        assert secret not in shown and secret not in done
        own = {"api_token_id": "mobility@pve!ansible", "api_token_secret": secret, "api_user": "mobility@pve"}
        assert adhoc(lab, "pve.mobility.cluster_info", {"subset": ["all"], **own}).result["unknown"] == []
