# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared nodes to jobs: what is created, changed, removed, and what must wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model.replication import ReplicationJob
from ansible_collections.pve.mobility.plugins.module_utils.planning.replica_set import (
    Cleanup,
    Settings,
    change,
    effective,
    plan,
    removal,
)

ANY = Settings()
SYNCED = 1_795_402_000


def job(number: int, target: str, source: str = "pve1", **more: Any) -> ReplicationJob:
    values = {"last_sync": SYNCED, **more}
    return ReplicationJob(f"100-{number}", 100, source, target, **values)


def test_a_declared_set_gets_its_jobs_and_then_rests() -> None:
    first = plan(100, ["pve2", "pve3"], [], ANY, exact=True)
    assert first.create == {"pve2": "100-0", "pve3": "100-1"}
    again = plan(100, ["pve2", "pve3"], [job(0, "pve2"), job(1, "pve3")], ANY, exact=True)
    assert not again.changed


def test_numbers_of_other_jobs_are_left_free() -> None:
    jobs = [job(0, "pve9"), job(2, "pve8", removing="full")]
    assert plan(100, ["pve2", "pve3"], jobs, ANY, exact=False).create == {"pve2": "100-1", "pve3": "100-3"}


def test_after_a_migration_to_a_replica_nothing_changes() -> None:
    flipped = [job(0, "pve1", source="pve2"), job(1, "pve3", source="pve2")]
    assert not plan(100, ["pve1", "pve3"], flipped, ANY, exact=True).changed


def test_after_a_recovery_the_job_to_the_guest_itself_counts_as_turned_round() -> None:
    stolen = [job(0, "pve2"), job(1, "pve3")]
    found = effective(stolen, "pve2")
    assert {item.target for item in found} == {"pve1", "pve3"}
    assert not plan(100, ["pve1", "pve3"], found, ANY, exact=True).changed


def test_after_a_migration_elsewhere_the_missing_and_the_superfluous_change() -> None:
    # The set was pve1, pve2; somebody moved the guest to pve4 and declared pve4, pve1 since.
    jobs = [job(0, "pve2", source="pve4")]
    found = plan(100, ["pve1"], jobs, ANY, exact=True)
    assert dict(found.create) == {"pve1": "100-1"}
    assert found.remove == tuple(jobs)
    assert found.wait_before_removal


@pytest.mark.parametrize(
    ("jobs", "waits"),
    [
        ([job(0, "pve3")], True),
        ([job(0, "pve3", last_sync=0)], False),
        ([job(0, "pve3", last_sync=0, seen=False)], True),
        ([job(0, "pve3"), job(1, "pve2")], False),
        ([job(0, "pve3"), job(1, "pve2", last_sync=0)], True),
    ],
)
def test_the_only_copy_stays_until_another_is_complete(jobs: list[ReplicationJob], waits: bool) -> None:
    assert plan(100, ["pve2"], jobs, ANY, exact=True).wait_before_removal is waits


@pytest.mark.parametrize(
    ("kept", "waits"),
    [
        (job(1, "pve2"), False),
        (job(1, "pve2", disabled=True), False),
        (job(1, "pve2", fail_count=1), True),
        (job(1, "pve4"), True),
    ],
)
def test_a_copy_that_cannot_be_used_is_none(kept: ReplicationJob, waits: bool) -> None:
    up = frozenset({"pve1", "pve2", "pve3"})
    found = plan(100, ["pve2", "pve4"], [job(0, "pve3"), kept], ANY, exact=True, reachable=up)
    assert found.wait_before_removal is waits


def test_nothing_waits_when_no_copy_is_declared() -> None:
    assert not removal([job(0, "pve2")], None).wait_before_removal


def test_other_jobs_are_left_alone_unless_the_set_is_exact() -> None:
    assert plan(100, ["pve2"], [job(0, "pve2"), job(1, "pve3")], ANY, exact=False).remove == ()


def test_a_job_on_its_way_out_is_called_back_when_it_is_wanted() -> None:
    found = plan(100, ["pve2"], [job(0, "pve2", removing="full"), job(1, "pve3", removing="local")], ANY, exact=True)
    assert [(update.delete, update.revived) for update in found.update] == [(("remove_job",), True)]
    assert [item.target for item in found.leaving] == ["pve3"]
    assert found.create == {}


@pytest.mark.parametrize(
    ("settings", "present", "values", "delete"),
    [
        (Settings(schedule="0/15"), {}, None, None),
        (Settings(schedule="*/20"), {}, {"schedule": "*/20"}, ()),
        (Settings(rate=80), {"rate": 80.0}, None, None),
        (Settings(rate=80), {}, {"rate": 80}, ()),
        (Settings(rate=0), {"rate": 80.0}, {}, ("rate",)),
        (Settings(comment=""), {"comment": "x"}, {}, ("comment",)),
        (Settings(comment="y"), {"comment": "x"}, {"comment": "y"}, ()),
        (Settings(), {"comment": "x", "rate": 5.0, "schedule": "*/2"}, None, None),
        (Settings(), {"disabled": True}, {}, ("disable",)),
        (Settings(enabled=False), {}, {"disable": True}, ()),
        (Settings(enabled=None), {"disabled": True}, None, None),
    ],
)
def test_only_what_differs_is_changed(
    settings: Settings, present: dict[str, Any], values: dict[str, Any] | None, delete: tuple[str, ...] | None
) -> None:
    found = change(job(0, "pve2", **present), settings)
    if values is None:
        assert found is None
    else:
        assert found is not None
        assert (dict(found.values), found.delete) == (values, delete)


NODES = ["pve1", "pve2", "pve3", "pve4", "pve5"]


@given(
    st.sampled_from(NODES),
    st.sets(st.sampled_from(NODES), min_size=1),
    st.dictionaries(st.sampled_from(NODES), st.tuples(st.integers(0, 9), st.sampled_from([None, "full"]))),
)
def test_carrying_it_out_makes_it_true(
    home: str, replicas: set[str], before: dict[str, tuple[int, str | None]]
) -> None:
    jobs, used = [], set()
    for target, (number, removing) in before.items():
        if target != home and number not in used:
            used.add(number)
            jobs.append(job(number, target, source=home, removing=removing))
    wanted = sorted(replicas - {home})
    todo = plan(100, wanted, jobs, ANY, exact=True)
    gone = {item.id for item in (*todo.remove, *todo.leaving)}
    after = [replace(item, removing=None) for item in jobs if item.id not in gone]
    after += [replace(job(0, target, source=home), id=id) for target, id in todo.create.items()]
    assert len({item.id for item in after}) == len(after)
    assert sorted(item.target for item in after) == wanted
    assert not plan(100, wanted, after, ANY, exact=True).changed


def test_cleanup_is_what_the_api_calls_it() -> None:
    assert [mode.params for mode in (Cleanup.FULL, Cleanup.KEEP, Cleanup.FORCE)] == [
        {},
        {"keep": True},
        {"force": True},
    ]
