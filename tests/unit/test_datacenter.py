# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""datacenter.cfg merged sub-key by sub-key: what is written, what stays, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pve.mobility.plugins.module_utils.model.datacenter import (
    BadWish,
    lines,
    plan,
    present,
    wish,
)
from ansible_collections.pve.mobility.plugins.module_utils.model.release import DATACENTER, STORAGE, release_of

FOUND: dict[str, Any] = {
    "migration": {"type": "secure", "network": "10.0.0.0/24"},
    "bwlimit": "migration=512000,move=1000",
    "crs": {"ha": "static", "ha-rebalance-on-start": 1, "from-the-future": "x"},
    "max_workers": "4",
    "keyboard": "de",
    "mac_prefix": "BC:24:11",
    "description": "",
}


def test_one_sub_key_is_set_and_the_others_are_sent_along() -> None:
    change = plan(FOUND, wish({"migration": {"network": "10.1.0.0/24"}, "bwlimit": {"move": 2000.0}}, []))
    assert change.put == {
        "migration": "type=secure,network=10.1.0.0/24",
        "bwlimit": "migration=512000,move=2000",
    }
    assert change.delete == []


def test_sub_keys_that_nobody_knows_survive() -> None:
    change = plan(FOUND, wish({"crs": {"ha": "basic"}}, []))
    assert change.put == {"crs": "ha=basic,from-the-future=x,ha-rebalance-on-start=1"}


@pytest.mark.parametrize(
    "wanted",
    [
        {"migration": {"type": "secure", "network": "10.0.0.0/24"}},
        {"bwlimit": {"migration": 512000.0}},
        {"bwlimit": {"move": 1000}},
        {"crs": {"ha_rebalance_on_start": True}},
        {"max_workers": 4},
        {},
    ],
)
def test_what_is_so_already_is_not_written(wanted: dict[str, Any]) -> None:
    assert not plan(FOUND, wish(wanted, ["replication", "ha"])).changed


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ("10.0.0.7/24", "10.0.0.0/24"),
        ("FD00:0:0::/64", "fd00::/64"),
    ],
)
def test_a_network_that_is_spelled_otherwise_is_the_same(there: str, wanted: str) -> None:
    found = {"migration": {"type": "secure", "network": there}}
    assert not plan(found, wish({"migration": {"network": wanted}}, [])).changed


def test_a_type_is_written_because_proxmox_ve_demands_one() -> None:
    change = plan({}, wish({"migration": {"network": "10.1.0.0/24"}}, []))
    assert change.put == {"migration": "type=secure,network=10.1.0.0/24"}


def test_the_type_that_an_old_option_sets_is_kept() -> None:
    change = plan({"migration_unsecure": 1}, wish({"migration": {"network": "10.1.0.0/24"}}, []))
    assert change.put == {"migration": "type=insecure,network=10.1.0.0/24"}


def test_replication_takes_the_type_that_it_had_from_migration() -> None:
    found = {"migration": {"type": "insecure", "network": "10.0.0.0/24"}}
    change = plan(found, wish({"replication": {"network": "10.1.0.0/24"}}, []))
    assert change.put == {"replication": "type=insecure,network=10.1.0.0/24"}


def test_sub_keys_and_keys_are_removed() -> None:
    change = plan(FOUND, wish({}, ["migration.network", "bwlimit.move", "bwlimit.migration", "max_workers", "ha"]))
    assert change.put == {"migration": "type=secure"}
    assert change.delete == ["bwlimit", "max_workers"]


def test_the_lines_before_and_after() -> None:
    change = plan(FOUND, wish({"max_workers": 6}, ["crs"]))
    assert lines(change.before) == (
        "bwlimit: migration=512000,move=1000\n"
        "crs: ha=static,from-the-future=x,ha-rebalance-on-start=1\n"
        "max_workers: 4\n"
        "migration: type=secure,network=10.0.0.0/24\n"
    )
    assert lines(change.after) == (
        "bwlimit: migration=512000,move=1000\nmax_workers: 6\nmigration: type=secure,network=10.0.0.0/24\n"
    )


@pytest.mark.parametrize(
    ("wanted", "absent", "says"),
    [
        ({"migration": {"network": "10.1.2.3/24"}}, [], "has host bits set: the network is 10.1.2.0/24"),
        ({"migration": {"network": "10.1.2.0"}}, [], "lacks the prefix length"),
        ({"migration": {"network": "ten"}}, [], "'ten' is not a network"),
        ({"replication": {"network": "0.0.0.0/0"}}, [], "prefix length is 8 or more"),
        ({"migration": {"network": "10.1.0.0/24"}}, ["migration.network"], "both set and absent"),
        ({}, ["keyboard"], "'keyboard' is not a key that is managed here"),
        ({}, ["migration.nework"], "'migration.nework' is not a key"),
        ({"max_workers": 0}, [], "max_workers must be 1 or more"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(wanted: dict[str, Any], absent: list[str], says: str) -> None:
    with pytest.raises(BadWish, match=says.replace("(", r"\(")) as refused:
        wish(wanted, absent)
    assert "\n" not in str(refused.value)


def test_overlapping_networks_are_refused() -> None:
    wanted = wish({"replication": {"network": "10.0.0.0/16"}}, [])
    with pytest.raises(BadWish, match=r"10\.0\.0\.0/24 and the replication network 10\.0\.0\.0/16 overlap"):
        plan(FOUND, wanted)
    assert plan(FOUND, wish({"replication": {"network": "10.0.0.0/24"}}, [])).changed


_SUBS = st.dictionaries(st.sampled_from(["clone", "default", "migration", "move", "restore"]), st.integers(0, 10**9))


@given(_SUBS, _SUBS, st.randoms())
def test_a_second_run_finds_nothing_whatever_the_order(
    there: dict[str, int], wanted: dict[str, int], order: Any
) -> None:
    answer = {"bwlimit": ",".join(f"{key}={value}" for key, value in there.items())}
    change = plan(answer, wish({"bwlimit": wanted}, []))
    parts = change.put.get("bwlimit", answer["bwlimit"]).split(",")
    order.shuffle(parts)
    again = {"bwlimit": ",".join(parts)}
    assert not plan(again, wish({"bwlimit": wanted}, [])).changed
    assert present(again).get("bwlimit", {}) == {key: str(value) for key, value in (there | wanted).items()}


def test_what_older_releases_lose() -> None:
    assert release_of({"version": "9.2.11"}) == (9, 2)
    assert release_of({"version": "8.4.14"}) == (8, 4)
    assert release_of({}) is None
    assert DATACENTER.loses((8, 4), (9, 0))
    assert not DATACENTER.loses((9, 0), (9, 1))
    assert DATACENTER.loses((9, 1), (9, 2))
    assert not DATACENTER.loses((9, 2), (8, 4))
    assert DATACENTER.loses((9, 2), (9, 3)), "nobody knows what a later release will bring"
    assert not STORAGE.loses((9, 0), (9, 2))
    assert STORAGE.loses((8, 4), (9, 0))


def test_what_needs_a_newer_release() -> None:
    assert wish({"migration": {"type": "secure"}}, []).needs()[0] == (0, 0)
    assert wish({"replication": {"type": "secure"}}, []).needs() == ((9, 0), "replication")
    assert wish({"crs": {"ha": "static"}}, []).needs()[0] == (0, 0)
    assert wish({"crs": {"ha": "dynamic"}}, []).needs() == ((9, 2), "crs: ha=dynamic")
    assert wish({"crs": {"ha_auto_rebalance": False}}, []).needs()[0] == (9, 2)
