# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host is asked, what is repeated and what never is, when answers fail to come."""

from __future__ import annotations

from typing import Any

import proxmoxer.core
import pytest
from requests import exceptions as network

from ansible_collections.pve.mobility.plugins.module_utils.api import session as sessions
from ansible_collections.pve.mobility.plugins.module_utils.api.connection import Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    Invalid,
    MaybeSent,
    NodeUnreachable,
    PermissionDenied,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session

HOSTS = ("pve1:8006", "pve2:8006", "pve3:8006")


class Wire:
    """Stands for proxmoxer: each host has the answers that it gives, in order; the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, str]] = []
        monkeypatch.setattr(sessions.proxmoxer, "ProxmoxAPI", self._connect)

    def _connect(self, host: str, **_options: Any) -> Any:
        name = host.partition(":")[0]

        answer = self._answer

        def resource(path: str) -> Any:
            class Resource:
                def __getattr__(self, method: str) -> Any:
                    return lambda **_params: answer(name, method.upper(), path)

            return Resource()

        return resource

    def _answer(self, host: str, method: str, path: str) -> Any:
        self.asked.append((host, method, path))
        queue = self.answers[host]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def hosts(self) -> list[str]:
        return [host for host, _method, _path in self.asked]


def refusal(status: int, reason: str) -> Exception:
    return proxmoxer.core.ResourceException(status, reason, reason, errors=None)


REFUSED = network.ConnectionError("NewConnectionError: [Errno 111] Connection refused")
RESET = network.ConnectionError("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))")
NO_CONNECTION = network.ConnectTimeout("timed out")
NO_ANSWER = network.ReadTimeout("read timed out")


def session(**more: Any) -> Session:
    return Session(Connection(HOSTS, "root@pam", token_name="test", token_secret="secret", **more))


@pytest.mark.parametrize("failure", [REFUSED, RESET, NO_CONNECTION, NO_ANSWER], ids=str)
def test_a_read_goes_to_the_next_host_and_stays_there(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    wire = Wire(monkeypatch, pve1=[failure], pve2=[{"a": 1}], pve3=[{}])
    api = session()
    assert api.get("/version") == {"a": 1}
    assert api.get("/version") == {"a": 1}
    assert wire.hosts == ["pve1", "pve2", "pve2"]


@pytest.mark.parametrize("failure", [REFUSED, NO_CONNECTION], ids=str)
def test_a_write_that_never_left_goes_to_the_next_host(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    wire = Wire(monkeypatch, pve1=[failure], pve2=["UPID"], pve3=[{}])
    assert session().post("/nodes/pve1/qemu/100/migrate") == "UPID"
    assert wire.hosts == ["pve1", "pve2"]


@pytest.mark.parametrize(
    "failure",
    [RESET, NO_ANSWER, refusal(596, "Connection timed out"), refusal(599, "Too many redirections"), refusal(504, "")],
    ids=str,
)
def test_a_write_that_may_have_arrived_is_not_repeated(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    wire = Wire(monkeypatch, pve1=[failure], pve2=["UPID"], pve3=[{}])
    with pytest.raises(MaybeSent):
        session().post("/nodes/pve2/qemu/100/migrate")
    assert wire.hosts == ["pve1"]


def test_a_write_that_the_node_never_got_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, pve1=[refusal(595, "No route to host")], pve2=[{}], pve3=[{}])
    with pytest.raises(NodeUnreachable, match="node pve2") as caught:
        session().post("/nodes/pve2/qemu/100/migrate")
    assert not isinstance(caught.value, MaybeSent)
    assert wire.hosts == ["pve1"]


def test_a_host_whose_own_daemon_is_down_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, pve1=[refusal(595, "Connection refused")], pve2=[[1]], pve3=[{}])
    assert session().get("/cluster/ha/status/manager_status") == [1]
    assert wire.hosts == ["pve1", "pve2"]


def test_a_node_that_is_down_is_asked_for_through_one_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each further host might need 30 s to say the same (pve-facts §15).
    wire = Wire(monkeypatch, pve1=[refusal(595, "No route to host")], pve2=[{}], pve3=[{}])
    with pytest.raises(NodeUnreachable):
        session().get("/nodes/pve9/status")
    assert wire.hosts == ["pve1"]


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    Wire(monkeypatch, pve1=[REFUSED], pve2=[NO_CONNECTION], pve3=[NO_ANSWER])
    with pytest.raises(NodeUnreachable, match=r"pve1:8006 .*refused.*pve2:8006 .*no connection.*pve3:8006"):
        session().get("/version")


def test_a_preferred_host_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, pve1=[{}], pve2=[{}], pve3=[{}])
    api = session()
    api.prefer("pve3:8006")
    api.prefer("elsewhere:8006")
    api.get("/version")
    assert wire.hosts == ["pve3"]


@pytest.mark.parametrize("answer", [{"errors": b"<html>hello</html>"}, KeyError("data"), TypeError("list")], ids=str)
def test_another_web_server_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    Wire(monkeypatch, pve1=[answer], pve2=[{}], pve3=[{}])
    with pytest.raises(Invalid, match="pve1:8006 answers, but not as the API"):
        session().get("/version")


def test_a_login_that_cannot_be_checked_is_tried_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    down = proxmoxer.core.AuthenticationError("Couldn't authenticate user: root@pam to https://pve1 code: 595")
    wire = Wire(monkeypatch, pve1=[down], pve2=[{"a": 1}], pve3=[{}])
    assert session().get("/version") == {"a": 1}
    assert wire.hosts == ["pve1", "pve2"]


def test_a_wrong_password_is_not_tried_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = proxmoxer.core.AuthenticationError("Couldn't authenticate user: root@pam to https://pve1 code: 401")
    wire = Wire(monkeypatch, pve1=[wrong], pve2=[{}], pve3=[{}])
    with pytest.raises(PermissionDenied, match="refused the password of root@pam"):
        session().get("/version")
    assert wire.hosts == ["pve1"]


def test_an_expired_ticket_is_renewed_once_even_for_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    # 401 comes before anything is carried out.
    wire = Wire(monkeypatch, pve1=[refusal(401, "permission denied - invalid ticket"), "UPID"], pve2=[{}], pve3=[{}])
    api = Session(Connection(HOSTS, "root@pam", password="lab"))
    assert api.post("/nodes/pve1/qemu/100/migrate") == "UPID"
    assert wire.hosts == ["pve1", "pve1"]


def test_the_secret_is_in_no_message_and_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    Wire(monkeypatch, pve1=[refusal(401, "No ticket")], pve2=[{}], pve3=[{}])
    connection = Connection(HOSTS, "root@pam", token_name="test", token_secret="hush-hush")
    with pytest.raises(PermissionDenied) as caught:
        Session(connection).get("/version")
    assert "hush-hush" not in f"{caught.value.message} {caught.value.failure()} {connection!r}"
