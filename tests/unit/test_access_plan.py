# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least rights for features, and the steps towards them."""

from __future__ import annotations

import pytest

from ansible_collections.pve.mobility.plugins.module_utils.model.access import Access, Entry, Token
from ansible_collections.pve.mobility.plugins.module_utils.model.privileges import BY_NAME, FEATURES, USES
from ansible_collections.pve.mobility.plugins.module_utils.planning.access import (
    Grant,
    Scope,
    Wanted,
    entries,
    foreign,
    grants,
    plan,
)

NEW, OLD = (9, 2), (8, 4)
ALL = Scope()
SHOP = Scope(pools=("shop",), guests=(100,), storages=("ssd",))


def by_path(*features: str, release: tuple[int, int] = NEW, scope: Scope = ALL) -> dict[str, set[str]]:
    return {item.path: set(item.privileges) for item in grants(features, [release], scope, "m")}


def test_an_auditor_may_write_nothing() -> None:
    given = by_path("audit")
    assert given["/vms"] == {"VM.Audit"}
    assert all(name.endswith(".Audit") for privileges in given.values() for name in privileges)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_nobody_gets_more_than_the_table_says(feature: object) -> None:
    name = feature.name  # type: ignore[attr-defined]
    uses = {use.id: use for use in USES}
    ids = set(BY_NAME[name].uses)
    ids |= {other for id in ids for other in uses[id].like}
    ids |= {other for id in ids for other in uses[id].like}
    told = {need.privilege for id in ids for need in uses[id].needs if need.on(NEW)}
    assert set().union(*by_path(name).values()) == told


def test_replication_is_a_matter_of_storages_up_to_8_4() -> None:
    assert by_path("replication")["/vms"] == {"VM.Audit", "VM.Replicate"}
    assert "Datastore.Allocate" not in by_path("replication")["/storage"]
    assert by_path("replication", release=OLD)["/vms"] == {"VM.Audit"}
    assert "Datastore.Allocate" in by_path("replication", release=OLD)["/storage"]
    both = {item.path: item.privileges for item in grants(["replication"], [OLD, NEW], ALL, "m")}
    assert "VM.Replicate" in both["/vms"] and "Datastore.Allocate" in both["/storage"]


def test_a_scope_narrows_writing_and_nothing_else() -> None:
    given = by_path("audit", "migrate", "move_disk", scope=SHOP)
    assert given["/vms"] == {"VM.Audit"}
    assert given["/pool/shop"] == given["/vms/100"] == {"VM.Audit", "VM.Migrate", "VM.Config.Disk"}
    assert given["/storage"] == {"Datastore.Audit"}
    assert given["/storage/ssd"] == {"Datastore.Audit", "Datastore.AllocateSpace"}


def test_what_is_nearer_holds_what_is_above_it() -> None:
    """Proxmox VE takes the nearest entry alone."""
    for features in (("audit", "migrate"), ("drain_storage", "stop"), ("replication", "standards")):
        given = by_path(*features, scope=SHOP)
        for path, privileges in given.items():
            for above, wider in given.items():
                if above != "/" and path.startswith(f"{above}/"):
                    assert wider <= privileges


def test_on_the_root_nothing_goes_down() -> None:
    given = grants([feature.name for feature in FEATURES], [NEW], ALL, "m")
    assert [item.path for item in given if not item.propagate] == ["/"]


GRANTS = (Grant("/", "m-cluster", frozenset({"Sys.Audit"})), Grant("/vms", "m-vms", frozenset({"VM.Audit"})))
WANTED = Wanted("a@pve", "t", GRANTS, "m")
ROLES = {"m-cluster": frozenset({"Sys.Audit"}), "m-vms": frozenset({"VM.Audit"}), "PVEAdmin": frozenset({"X"})}
DONE = Access(ROLES, entries(WANTED), True, token=Token())


def steps(seen: Access, wanted: Wanted = WANTED) -> list[str]:
    return [step.text for step in plan(wanted, seen)]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert steps(DONE) == []


def test_the_token_has_its_rights_only_after_everything_else() -> None:
    made = steps(Access())
    assert made[:3] == [
        "create the role m-cluster (Sys.Audit)",
        "create the role m-vms (VM.Audit)",
        "create the user a@pve",
    ]
    assert made[-3:] == ["create the token a@pve!t", "give a@pve!t m-cluster on /", "give a@pve!t m-vms on /vms"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"VM.Audit", "VM.Migrate"}, "mend the role m-vms: take away VM.Migrate"),
        (set(), "mend the role m-vms: add VM.Audit"),
        ({"VM.Clone"}, "mend the role m-vms: add VM.Audit; take away VM.Clone"),
    ],
)
def test_a_role_that_has_drifted(found: set[str], said: str) -> None:
    assert steps(Access({**ROLES, "m-vms": frozenset(found)}, DONE.entries, True, token=Token())) == [said]


def test_entries_that_have_drifted() -> None:
    gone = Entry("/vms", "a@pve!t", "m-vms")
    extra = Entry("/storage", "a@pve", "m-vms")
    deep = {Entry("/", "a@pve", "m-cluster", True)}
    seen = Access(
        ROLES, (DONE.entries - {gone, Entry("/", "a@pve", "m-cluster", False)}) | {extra} | deep, True, token=Token()
    )
    assert steps(seen) == [
        "take m-cluster on / from a@pve",
        "take m-vms on /storage from a@pve",
        "give a@pve m-cluster on /",
        "give a@pve!t m-vms on /vms",
    ]


def test_other_rights_are_told_and_taken_away_on_request() -> None:
    other = Entry("/", "a@pve", "PVEAdmin")
    seen = Access(ROLES, DONE.entries | {other, Entry("/", "b@pve", "PVEAdmin")}, True, token=Token())
    assert foreign(WANTED, seen) == [other]
    assert steps(seen) == []
    exclusive = Wanted("a@pve", "t", GRANTS, "m", exclusive=True)
    assert steps(seen, exclusive) == ["take PVEAdmin on / from a@pve"]


def test_a_token_that_is_renewed_gets_its_rights_again() -> None:
    assert steps(DONE, Wanted("a@pve", "t", GRANTS, "m", renew=True)) == [
        "remove the token a@pve!t",
        "create the token a@pve!t",
        "give a@pve!t m-cluster on /",
        "give a@pve!t m-vms on /vms",
    ]


def test_a_token_without_rights_of_its_own_gets_none() -> None:
    seen = Access(ROLES, DONE.entries, True, token=Token())
    assert steps(seen, Wanted("a@pve", "t", GRANTS, "m", privsep=False)) == [
        "take m-cluster on / from a@pve!t",
        "take m-vms on /vms from a@pve!t",
        "change the token a@pve!t",
    ]


def test_roles_that_others_have_stay() -> None:
    seen = Access(ROLES, DONE.entries | {Entry("/vms", "b@pve", "m-vms")}, True, token=Token())
    assert steps(seen, Wanted("a@pve", "t", (), "m", absent=True)) == [
        "take m-cluster on / from a@pve",
        "take m-vms on /vms from a@pve",
        "remove the token a@pve!t",
        "remove the role m-cluster",
    ]


def test_roles_of_another_prefix_are_not_touched() -> None:
    roles = {**ROLES, "mine-m-vms": frozenset({"X"}), "m-extra": frozenset({"X"})}
    assert steps(Access(roles, DONE.entries, True, token=Token())) == []
