# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Privileges: propagation, tokens, groups, pools, releases, and the text of user.cfg."""

from __future__ import annotations

import pytest

from lab.pve.cluster import Cluster
from lab.pve.node import Node
from lab.pve.roles import exists
from lab.pve.usercfg import Group, Pool, UserCfg, parse_user_cfg, print_user_cfg
from lab.pve.users import Identity, Users
from lab.sim.engine import Engine
from tests.conformance.client import Lab

SOME = Identity("some@pve")


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(Engine(1_795_400_000.0))
    cluster.add_node(Node("pve1", 1, "10.0.0.1"))
    cluster.users.add_user("root@pam", "lab")
    cluster.users.add_user("some@pve", "password")
    return cluster


@pytest.fixture
def users(cluster: Cluster) -> Users:
    return cluster.users


def test_entries_propagate_only_when_they_say_so(users: Users) -> None:
    users.grant("/vms", "some@pve", "PVEVMAdmin")
    users.grant("/storage", "some@pve", "PVEDatastoreUser", propagate=False)
    assert users.may(SOME, "/vms/100", "VM.Migrate")
    assert not users.may(SOME, "/nodes/pve1", "VM.Migrate")
    assert users.may(SOME, "/storage", "Datastore.Audit")
    assert not users.may(SOME, "/storage/local", "Datastore.Audit")


def test_the_nearest_entry_replaces_those_above(users: Users) -> None:
    users.grant("/", "some@pve", "Administrator")
    users.grant("/vms/100", "some@pve", "PVEAuditor")
    assert users.may(SOME, "/vms/101", "VM.Migrate")
    assert not users.may(SOME, "/vms/100", "VM.Migrate")
    assert users.may(SOME, "/vms/100", "VM.Audit")
    users.grant("/vms/100", "some@pve", "NoAccess")
    assert not users.may(SOME, "/vms/100", "VM.Audit")


def test_a_users_own_entry_hides_its_groups(users: Users) -> None:
    def join(cfg: UserCfg) -> None:
        cfg.groups["ops"] = Group({"some@pve": None})

    users.edit(join)
    users.grant("/vms", "@ops", "PVEVMAdmin")
    assert users.may(SOME, "/vms/100", "VM.Migrate")
    users.grant("/vms", "some@pve", "PVEAuditor")
    assert not users.may(SOME, "/vms/100", "VM.Migrate")


def test_a_separated_token_has_what_both_have(users: Users) -> None:
    users.grant("/vms", "some@pve", "PVEVMUser")
    users.add_token("some@pve", "free", privsep=False)
    users.add_token("some@pve", "bound")
    bound, free = Identity("some@pve", "bound"), Identity("some@pve", "free")
    assert users.may(free, "/vms/100", "VM.PowerMgmt")
    assert not users.may(bound, "/vms/100", "VM.PowerMgmt")
    users.grant("/vms", "some@pve!bound", "PVEVMAdmin")
    assert users.may(bound, "/vms/100", "VM.PowerMgmt")
    assert not users.may(bound, "/vms/100", "VM.Migrate")


def test_a_separated_token_of_root_has_what_it_was_given(users: Users) -> None:
    users.add_token("root@pam", "bound")
    bound = Identity("root@pam", "bound")
    assert not users.may(bound, "/", "Sys.Audit")
    users.grant("/", "root@pam!bound", "PVEAuditor")
    assert users.may(bound, "/", "Sys.Audit")
    assert not users.may(bound, "/", "Sys.Modify")


def test_a_pool_gives_its_members_its_roles(users: Users) -> None:
    def pool(cfg: UserCfg) -> None:
        cfg.pools["web"] = Pool({100: None}, {"fast": None})

    users.edit(pool)
    users.grant("/pool/web", "some@pve", "PVEAdmin")
    assert users.may(SOME, "/vms/100", "VM.Migrate")
    assert users.may(SOME, "/storage/fast", "Datastore.AllocateSpace")
    assert not users.may(SOME, "/vms/101", "VM.Audit")


@pytest.mark.parametrize(("release", "monitor", "replicate"), [((8, 4), True, False), ((9, 0), False, True)])
def test_releases_know_different_privileges(release: tuple[int, int], monitor: bool, replicate: bool) -> None:
    assert exists("VM.Monitor", release) is monitor
    assert exists("VM.Replicate", release) is replicate


def test_roles_are_those_of_proxmox_ve(cluster: Cluster) -> None:
    lab = Lab(cluster)
    cluster.users.add_token("root@pam", "lab", privsep=False)
    roles = {row["roleid"]: set(row["privs"].split(",")) for row in lab.get("/access/roles")}
    kinds = ("Datastore", "Mapping", "Pool", "SDN", "VM")
    assert set(roles) == {"Administrator", "NoAccess", "PVEAdmin", "PVEAuditor", "PVETemplateUser"} | {
        "PVESysAdmin",
        "PVEUserAdmin",
        *(f"PVE{kind}{level}" for kind in kinds for level in ("Admin", "User")),
    }
    assert "VM.Migrate" in roles["PVEVMAdmin"] and "VM.Monitor" not in roles["PVEVMAdmin"]
    assert roles["PVETemplateUser"] == {"VM.Clone", "VM.Audit"}
    assert "Mapping.Modify" in roles["PVEMappingAdmin"] - roles["PVEAdmin"]
    assert "Permissions.Modify" in roles["Administrator"] and "Permissions.Modify" not in roles["PVEAdmin"]
    cluster.nodes["pve1"].release = (8, 4)
    assert "VM.Monitor" in lab.get("/access/roles/PVEVMAdmin")


def test_accounts_and_tokens_end(users: Users, cluster: Cluster) -> None:
    secret = users.add_token("some@pve", "t")
    now = int(cluster.engine.now)

    def expire(cfg: UserCfg) -> None:
        cfg.users["some@pve"].tokens["t"].expire = now + 10

    users.edit(expire)
    assert users.verify_token(f"some@pve!t={secret}") == Identity("some@pve", "t")
    cluster.engine.advance(11)
    assert users.verify_token(f"some@pve!t={secret}") is None
    users.add_user("some@pve", "password", expire=now + 20)
    assert users.check_password("some@pve", "password")
    cluster.engine.advance(10)
    assert not users.check_password("some@pve", "password")


def test_the_file_is_read_as_it_is_written() -> None:
    text = (
        "user:a@pve:1:0:First:Last:a@b.c:with%3A colon::\n"
        "token:a@pve!t:5:1:why:\n"
        "user:root@pam:1:0:::::x:\n"
        "\n"
        "group:ops:a@pve::\n"
        "\n"
        "pool:web::100,101:fast:\n"
        "\n"
        "role:Mover:VM.Audit,VM.Migrate:\n"
        "\n"
        "acl:0:/:@ops:PVEAuditor:\n"
        "acl:1:/vms:a@pve,a@pve!t:Mover,PVEAuditor:\n"
    )
    cfg = parse_user_cfg(text)
    assert cfg.users["a@pve"].comment == "with: colon"
    assert cfg.users["a@pve"].tokens["t"].expire == 5
    assert print_user_cfg(cfg) == text


def test_who_may_only_allocate_guests_hands_out_no_more_than_that(cluster: Cluster) -> None:
    lab = Lab(cluster)
    cluster.users.add_user("other@pve", "password")
    cluster.users.grant("/vms/100", "some@pve", "PVEVMAdmin")
    change = {"path": "/vms/100", "users": "other@pve"}
    assert lab.request("PUT", "/access/acl", {**change, "roles": "PVEAuditor"}, auth="ticket:some@pve").status == 400
    assert lab.request("PUT", "/access/acl", {**change, "roles": "PVEVMUser"}, auth="ticket:some@pve").status == 200
    assert cluster.users.may(Identity("other@pve"), "/vms/100", "VM.PowerMgmt")
    refused = lab.request(
        "PUT", "/access/acl", {**change, "path": "/vms/101", "roles": "PVEVMUser"}, auth="ticket:some@pve"
    )
    assert refused.reason == "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)"
