# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module with exactly the privileges of the table, and once with each of them missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pve.mobility.plugins.action.upgrade_plan import blind
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import USES, Lack, Need, needs_of
from ansible_collections.pve.mobility.plugins.module_utils.model.snapshot import from_plain
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState
from ansible_collections.pve.mobility.plugins.module_utils.model.unknown import unseen
from ansible_collections.pve.mobility.plugins.module_utils.planning.ask import ClusterAsk
from ansible_collections.pve.mobility.plugins.module_utils.planning.preflight import judge
from tests.integration.as_user import ACCOUNT, Grant, Outcome, call, grant
from tests.integration.privilege_cases import Case, cases
from tools.area import CHECKOUT

BY_PLAYBOOK = {"preflight", "upgrade_plan"}
"""Action plugins without a module of their own: they read by cluster_info, and judge what it says, as below."""
IDS = [(use.id, release) for use in USES for release in ("9.2", "8.4") if use.id not in BY_PLAYBOOK]


def run(case: Case, release: str, rights: list[Grant], folder: Path) -> Outcome:
    for left in folder.iterdir():
        left.unlink()
    lab = case.lab(release)
    more = case.before(lab)
    return call(lab, case.use.module, {**case.options, **more}, grant(lab, rights))


def case_of(id: str, release: str, folder: Path) -> Case | None:
    found = [case for case in cases(folder) if case.id == id]
    assert found, f"no case for {id}: add one to privilege_cases.py"
    return found[0] if release in found[0].releases else None


@pytest.mark.parametrize(("id", "release"), IDS)
def test_a_module_needs_what_the_table_says(id: str, release: str, tmp_path: Path) -> None:
    case = case_of(id, release, tmp_path)
    if case is None:
        differing = [need for need in next(use for use in USES if use.id == id).needs if need.since or need.until]
        assert not differing, f"{id} asks for other privileges before 9.0: its case has to run on both"
        return
    rights = case.rights(release)
    enough = run(case, release, rights, tmp_path)
    assert not enough.failed, enough.result["msg"]
    assert bool(enough.writes) == case.writes
    for need in case.needs(release):
        taken = case.paths(need)
        without = run(case, release, [right for right in rights if right not in taken], tmp_path)
        lacks(case, need, enough, without)


def lacks(case: Case, need: Need, enough: Outcome, without: Outcome) -> None:
    """What the table says of the lack is what happened."""
    where = f"{case.id} without {need.privilege} on {need.path}: {without.said[:600]}"
    if need.lack is Lack.FAILS:
        assert without.failed, where
        failure = without.result["failure"]
        assert failure["kind"] == "permission", where
        assert need.privilege in failure["privileges"], where
        assert failure["path"] in {path for path, _privilege in case.paths(need)}, where
        assert f"{failure['path']}" in without.result["msg"] and need.privilege in without.result["msg"], where
        assert "\n" not in without.result["msg"], where
        assert without.writes == [], where
    elif need.lack is Lack.UNKNOWN:
        assert not without.failed, where
        named = re.compile(rf"{re.escape(need.privilege)}\b")
        assert len(named.findall(without.said)) > len(named.findall(enough.said)), where
        assert need.path in without.said, where
    else:
        assert need.lost, where
        assert not without.failed, where
        assert bool(without.writes) == case.writes, where


def snapshots(folder: Path) -> Iterator[tuple[Need | None, ClusterState]]:
    """What cluster_info says with everything that it needs, and without each."""
    (case,) = (case for case in cases(folder) if case.id == "cluster_info")
    for need in (None, *case.needs("9.2")):
        taken = [] if need is None else case.paths(need)
        lab = case.lab("9.2")
        auth = grant(lab, [right for right in case.rights("9.2") if right not in taken])
        yield need, from_plain(call(lab, "cluster_info", {"subset": ["all", "history"]}, auth).result)


def test_a_judgement_names_what_it_could_not_see(tmp_path: Path) -> None:
    for need, state in snapshots(tmp_path):
        blind = [item for item in judge(state, ClusterAsk()).findings if item.id == "not-judged"]
        named = {(name, need.path in item.message) for item in blind for name in item.evidence["privileges"] if need}
        assert bool(blind) == (need is not None)
        assert need is None or (need.privilege, True) in named


def test_there_is_no_plan_of_what_could_not_be_seen(tmp_path: Path) -> None:
    needs = next(use for use in USES if use.id == "upgrade_plan").needs
    assert {(need.privilege, need.path) for need in needs} == {
        (need.privilege, need.path) for need, _state in snapshots(tmp_path) if need is not None
    }
    for need, state in snapshots(tmp_path):
        hidden = unseen(state.unknown)
        assert (hidden is None) == (need is None)
        if hidden is not None and need is not None:
            told = blind(hidden)
            assert told["failure"]["kind"] == "permission"
            assert need.privilege in told["msg"] and need.path in told["msg"]


def test_a_role_on_one_guest_that_hides_it_is_noticed(tmp_path: Path) -> None:
    """Proxmox VE takes the nearest entry alone: with VM.Migrate, and nothing else, on a guest one does not see it."""
    case = next(case for case in cases(tmp_path) if case.id == "drain")
    lab = case.lab("9.2")
    auth = grant(lab, case.rights("9.2"))

    def change(cfg: Any) -> None:
        cfg.roles["narrow"] = frozenset({"VM.Migrate"})
        cfg.acl_node("/vms/100").users[ACCOUNT] = {"narrow": 1}

    lab.cluster.users.edit(change)
    said = call(lab, "drain", case.options, auth).result
    assert said["failure"]["kind"] == "permission"
    assert "VM.Audit on /vms/100" in said["msg"]
    seen = call(lab, "cluster_info", {"subset": ["guests", "cluster"]}, auth).result
    assert [(item["part"], item["path"]) for item in seen["unknown"]] == [("guests", "/vms/100")]


def test_what_is_for_all_storages_is_not_asked_of_each(tmp_path: Path) -> None:
    case = next(case for case in cases(tmp_path) if case.id == "zfs_storage")
    lab = case.lab("9.2")
    auth = grant(lab, case.rights("9.2"))

    def change(cfg: Any) -> None:
        cfg.roles["narrow"] = frozenset({"Datastore.Audit"})
        cfg.acl_node("/storage/other").users[ACCOUNT] = {"narrow": 1}

    lab.cluster.users.edit(change)
    assert not call(lab, "zfs_storage", case.options, auth).failed


def test_a_storage_for_other_nodes_does_not_keep_a_node_from_being_ready(tmp_path: Path) -> None:
    case = next(case for case in cases(tmp_path) if case.id == "cluster_ready.node")
    assert not call(case.lab("9.2"), "cluster_ready", {"node": "pve2", "checks": ["quorum", "nodes"]}).failed


def documented(module: str) -> set[str]:
    """Privileges that the notes of a module name."""
    text = (CHECKOUT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    notes = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0]).get("notes", [])
    told = [str(note) for note in notes if str(note).startswith("Privileges: ")]
    assert len(told) == 1, f"{module} has {len(told)} notes that begin with Privileges:"
    names = set(re.findall(r"C\(([A-Z]\w+\.\w+(?:\.\w+)?)\)", told[0]))
    others = re.findall(r"M\(pve\.mobility\.(\w+)\)", told[0])
    return names.union(*(documented(other) for other in others))


@pytest.mark.parametrize("module", sorted({use.module for use in USES}))
def test_the_notes_of_a_module_name_the_same_privileges(module: str) -> None:
    modules = {module, *(name for use in USES if use.module == module for name in use.like)}
    own = [use.id for use in USES if use.module in modules]
    assert documented(module) == {need.privilege for need in needs_of(own)}


def test_every_module_that_speaks_to_the_api_is_in_the_table() -> None:
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert {use.module for use in USES} == set(runtime["action_groups"]["api"])
