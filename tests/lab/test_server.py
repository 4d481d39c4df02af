# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as a program, through real sockets."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab.__main__ import main

CHECKOUT = Path(__file__).resolve().parents[2]
NODES = "nodes:\n  pve1: {}\n  pve2: {}\n  pve3: {}\n"


class Running:
    """``python -m lab`` as a child process, and a client for it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.cluster = folder / "cluster.yml"
        self.cluster.write_text(NODES, encoding="utf-8")
        command = [sys.executable, "-m", "lab", "--cluster", str(self.cluster), "--port", "0", *options]
        self.process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.about: dict[str, Any] = json.loads(line)
        self.tls = ssl.create_default_context(cafile=self.about["ca"])

    def connect(self, node: str = "pve1", timeout: float = 20.0) -> http.client.HTTPSConnection:
        host, _colon, port = self.about["nodes"][node].rpartition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=self.tls)

    def call(
        self, method: str, path: str, body: str | None = None, node: str = "pve1", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect(node)
        token = f"PVEAPIToken={self.about['token_id']}={self.about['token_secret']}"
        connection.request(method, f"/api2/json{path}", body, {"Authorization": token, **headers})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def order(self, path: str, method: str = "POST", **fields: Any) -> dict[str, Any]:
        where = urlsplit(self.about["control"])
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
        connection.request(method, f"{where.path}{path}", json.dumps(fields))
        answer = connection.getresponse()
        body: dict[str, Any] = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, body
        return body

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _out, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("lab"), "--speed", "1000")
    yield running
    assert running.stop() == (0, "")


def test_it_says_where_it_is(lab: Running) -> None:
    assert list(lab.about["nodes"]) == ["pve1", "pve2", "pve3"]
    assert lab.about["hosts"] == list(lab.about["nodes"].values())
    assert lab.about["url"] == f"https://{lab.about['hosts'][0]}"
    assert (lab.about["user"], lab.about["password"], lab.about["token_id"]) == ("root@pam", "lab", "root@pam!lab")


def test_an_answer_has_pveproxys_headers(lab: Running) -> None:
    answer, content = lab.call("GET", "/version")
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.headers["Server"] == "pve-api-daemon/3.0"
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert json.loads(content)["data"]["release"] == "9.2"


def test_errors_carry_their_text_in_the_status_line_and_close(lab: Running) -> None:
    answer, content = lab.call("GET", "/nonexistent")
    assert (answer.status, answer.reason) == (501, "Method 'GET /nonexistent' not implemented")
    assert answer.headers["Connection"] == "close"
    assert json.loads(content)["message"] == answer.reason
    answer, content = lab.call("PATCH", "/version")
    assert (answer.status, answer.reason, content) == (501, "method 'PATCH' not available", b"")


def test_forms_json_and_paths_are_decoded(lab: Running) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer, content = lab.call("POST", "/access/groups", "groupid=form&comment=a+b%C3%A4%26", **kind)
    assert answer.status == 200, content
    body = json.dumps({"groupid": "json", "comment": "ä"})
    answer, content = lab.call("POST", "/access/groups", body, **{"Content-Type": "application/json"})
    assert answer.status == 200, content
    _answer, content = lab.call("GET", "/access/groups")
    assert {row["groupid"]: row["comment"] for row in json.loads(content)["data"]} == {"form": "a bä&", "json": "ä"}
    answer, content = lab.call("GET", "/access/users/root%40pam/token")
    assert answer.status == 200, content
    answer, content = lab.call("POST", "/access/groups", "{", **{"Content-Type": "application/json"})
    assert answer.status == 500
    answer, content = lab.call("GET", "/version", "a=b")
    assert (answer.status, answer.reason) == (501, "Unexpected content for method 'GET'")


def test_a_ticket_from_one_node_opens_another(lab: Running) -> None:
    connection = lab.connect("pve1")
    connection.request("POST", "/api2/json/access/ticket", "username=root@pam&password=lab")
    ticket = json.loads(connection.getresponse().read())["data"]["ticket"]
    other = lab.connect("pve2")
    other.request("GET", "/api2/json/version", headers={"Cookie": f"PVEAuthCookie={ticket}"})
    assert other.getresponse().status == 200
    connection.close()
    other.close()


def test_a_client_without_the_ca_is_warned(lab: Running) -> None:
    host, _colon, port = lab.about["nodes"]["pve1"].rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.connect()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "pve2", "pve2.lab"])
def test_a_certificate_is_valid_for_the_names_of_its_node(lab: Running, name: str) -> None:
    host, _colon, port = lab.about["nodes"]["pve2"].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as raw,
        lab.tls.wrap_socket(raw, server_hostname=name) as secured,
    ):
        assert secured.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_node_without_power_refuses_and_comes_back_on_its_port(lab: Running) -> None:
    kept = lab.connect("pve3")
    kept.request("GET", "/api2/json/access/domains")
    kept.getresponse().read()
    lab.order("/node", node="pve3", action="power-off")
    with pytest.raises(ConnectionRefusedError):
        lab.connect("pve3").connect()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        kept.request("GET", "/api2/json/access/domains")
        kept.getresponse()
    lab.order("/node", node="pve3", action="power-on", boot_seconds=0)
    lab.order("/advance", seconds=1)
    answer, _content = lab.call("GET", "/version", node="pve3")
    assert answer.status == 200


def test_a_node_that_is_cut_off_leaves_its_clients_waiting(lab: Running) -> None:
    lab.order("/node", node="pve3", action="cut")
    with pytest.raises(TimeoutError):
        lab.connect("pve3", timeout=0.5).connect()
    lab.order("/node", node="pve3", action="reconnect")
    answer, _content = lab.call("GET", "/version", node="pve3")
    assert answer.status == 200


def test_a_cut_connection_gives_no_answer_at_all(lab: Running) -> None:
    lab.order("/fault", match={"path": "^/version$"}, effect={"cut": "before"}, count=1)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        lab.call("GET", "/version")
    assert lab.call("GET", "/version")[0].status == 200


def test_virtual_time_runs_as_fast_as_told(lab: Running) -> None:
    # Three virtual seconds of delay pass at a thousand times the speed of the wall.
    before = lab.order("/time", method="GET")["elapsed"]
    connection = lab.connect()
    connection.request("GET", "/api2/json/version")
    assert connection.getresponse().status == 401
    connection.close()
    assert lab.order("/time", method="GET")["elapsed"] - before >= 3
    before = lab.order("/advance", seconds=86400)["elapsed"]
    assert lab.order("/time", method="GET")["elapsed"] >= before >= 86400


def test_requests_are_listed_on_every_port(lab: Running) -> None:
    lab.order("/requests", method="DELETE")
    lab.call("GET", "/version", node="pve2")
    connection = lab.connect("pve2")
    connection.request("GET", "/lab/requests")
    listed = json.loads(connection.getresponse().read())
    connection.close()
    assert [(row["node"], row["path"], row["status"]) for row in listed["requests"]] == [("pve2", "/version", 200)]
    assert (listed["count"], listed["writes"]) == (1, 0)


def test_in_jump_mode_only_requests_move_time(tmp_path: Path) -> None:
    running = Running(tmp_path, "--speed", "jump")
    try:
        before = running.order("/time", method="GET")
        assert before["speed"] == "jump"
        assert running.order("/time", method="GET") == before
        connection = running.connect()
        connection.request("GET", "/api2/json/version")
        assert connection.getresponse().status == 401
        connection.close()
        passed = running.order("/time", method="GET")["elapsed"] - before["elapsed"]
        assert 3 <= passed <= 4
    finally:
        assert running.stop() == (0, "")


def test_a_saved_state_goes_on_where_it_was_left(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = Running(tmp_path, "--speed", "jump", "--state", str(folder))
    try:
        first.call("POST", "/access/groups", "groupid=kept", **{"Content-Type": "application/x-www-form-urlencoded"})
        left = first.order("/advance", seconds=5000)["now"]
    finally:
        assert first.stop() == (0, "")
    second = Running(tmp_path, "--speed", "jump", "--state", str(folder))
    try:
        assert second.order("/time", method="GET")["now"] == left
        assert second.about["token_secret"] == first.about["token_secret"]
        second.tls = first.tls
        _answer, content = second.call("GET", "/access/groups")
        assert [row["groupid"] for row in json.loads(content)["data"]] == ["kept"]
    finally:
        assert second.stop() == (0, "")


def _refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What the program says on stderr before it ends with status 2."""
    try:
        code: Any = main(list(options))
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    return said.err


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--speed", "fast"], "'fast' is not a speed"),
        (["--port", "70000"], "'70000' is not a port"),
        (["--port", "65534"], "no room for 3 nodes"),
        (["--host", "300.1.1.1"], "300.1.1.1"),
    ],
)
def test_bad_options_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], part: str
) -> None:
    path = tmp_path / "cluster.yml"
    path.write_text(NODES, encoding="utf-8")
    assert part in _refused(capsys, "--cluster", str(path), *options)


@pytest.mark.parametrize(
    ("text", "part"),
    [("nodes: [", "not valid YAML"), ("storages: {}", "nodes"), (None, "cannot be read")],
)
def test_a_bad_cluster_file_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, part: str
) -> None:
    path = tmp_path / "cluster.yml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    said = _refused(capsys, "--cluster", str(path), "--port", "0")
    assert part in said and said.count("\n") == 1


def test_a_taken_port_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cluster.yml"
    path.write_text(NODES, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        said = _refused(capsys, "--cluster", str(path), "--port", number)
    assert number in said and said.count("\n") == 1
