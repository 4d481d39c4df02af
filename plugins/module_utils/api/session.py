# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One session per process: requests to whichever API host answers, errors as exceptions.

Reads are repeated on the next host when one does not answer. Writes never are once they may have reached a host: then
:class:`MaybeSent` tells the caller to look for what it may have started.
"""

from __future__ import annotations

import contextlib
import re
import traceback
import warnings
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api.connection import CONNECT_TIMEOUT, Connection
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Invalid,
    MaybeSent,
    NodeUnreachable,
    PermissionDenied,
    from_answer,
)

PROXMOXER_ERROR: str | None = None
try:
    import proxmoxer
    import proxmoxer.core
    from requests import exceptions as network
except ImportError:
    PROXMOXER_ERROR = traceback.format_exc()


class Session:
    """Requests to the cluster.

    :ivar host: the API host in use.
    :ivar sent: how many requests were sent, for those who count.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sent = 0
        self._apis: dict[str, Any] = {}
        self._current = 0

    @property
    def host(self) -> str:
        hosts = self.connection.hosts
        return hosts[self._current] if hosts else "this node"

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """Read ``path`` (below ``/api2/json``)."""
        return self._on_any_host("GET", path, params or {})

    def post(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """Write once.

        :raises MaybeSent: no answer came back after the request may have gone out.
        """
        return self._on_any_host("POST", path, params or {})

    def put(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return self._on_any_host("PUT", path, params or {})

    def delete(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return self._on_any_host("DELETE", path, params or {})

    def prefer(self, host: str) -> None:
        """Begin with a host that has answered lately; hosts that are not in ``api_host`` are passed over."""
        if host in self.connection.hosts:
            self._current = self.connection.hosts.index(host)

    def rotate(self) -> None:
        """Ask another host next time: the one in use sees the cluster badly."""
        if self.connection.hosts:
            self._current = (self._current + 1) % len(self.connection.hosts)

    def _on_any_host(self, method: str, path: str, params: dict[str, Any]) -> Any:
        if PROXMOXER_ERROR is not None:
            raise Invalid(
                "The Python packages proxmoxer and requests are needed where the module runs: pip install"
                " proxmoxer requests."
            )
        params = {name: _plain(value) for name, value in params.items() if value is not None}
        if not self.connection.hosts:
            return self._locally(method, path, params)
        silent: list[str] = []
        for _host in self.connection.hosts:
            try:
                return self._once(method, path, params)
            except NodeUnreachable as broken:
                # 595: the host's own daemon is down, or it could not pass the request on: nothing was carried out.
                # 596, 599 and gateways: it was passed on and the answer was lost (pve-facts §15).
                if method != "GET" and broken.status != 595:
                    raise MaybeSent(broken.message, status=broken.status, reason=broken.reason) from None
                if broken.details.get("node") is not None or len(silent) + 1 == len(self.connection.hosts):
                    raise
                silent.append(f"{self.host} ({broken.reason or broken.status})")
                self.rotate()
            except _Silent as silence:
                if silence.sent and method != "GET":
                    host = self.host
                    self.rotate()
                    raise MaybeSent(
                        f"{host} did not answer {method} {path} ({silence.why}).", reason=silence.why
                    ) from None
                silent.append(f"{self.host} ({silence.why})")
                self.rotate()
        raise NodeUnreachable(
            f"No API host answers: {', '.join(silent)}. Check api_host, that pveproxy runs there, and the firewall."
        )

    def _once(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """One request to the host in use; a ticket that has expired is renewed once."""
        host = self.host
        for attempt in (1, 2):
            self.sent += 1
            try:
                with _no_warnings():
                    answer = _send(self._api(host), method, path, params)
                if isinstance(answer, dict) and isinstance(answer.get("errors"), bytes):
                    raise _stranger(host)
                return answer
            except proxmoxer.core.ResourceException as refusal:
                error = _translate(refusal, method, path, host)
                if attempt == 1 and refusal.status_code == 401 and not self.connection.uses_token:
                    # An old ticket: nothing was carried out, so even a write may be sent again.
                    del self._apis[host]
                    continue
                raise error from None
            except proxmoxer.core.AuthenticationError as refusal:
                if code := re.search(r"code: (5\d\d)$", str(refusal)):
                    # The login was answered, but not by a daemon that can check a password.
                    raise _Silent(f"cannot check the login, HTTP {code[1]}", sent=False) from None
                raise PermissionDenied(
                    f"{host} refused the password of {self.connection.user}: check api_user (with its realm) and"
                    " api_password."
                ) from None
            except network.SSLError as problem:
                if "CERTIFICATE_VERIFY_FAILED" in str(problem) or "doesn't match" in str(problem):
                    raise _untrusted(host, problem) from None
                raise _Silent(_why(problem), sent=False) from None
            except network.RequestException as problem:
                raise _Silent(_why(problem), sent=_may_have_arrived(problem)) from None
            except OSError as problem:
                raise Invalid(f"{problem}: check ca_path ({self.connection.verify}).") from None
            except (KeyError, TypeError, AttributeError):
                # proxmoxer takes the answer apart without looking whether it has the shape of one.
                raise _stranger(host) from None
        raise AssertionError("unreachable")

    def _api(self, host: str) -> Any:
        if host not in self._apis:
            connection = self.connection
            timeouts = (min(CONNECT_TIMEOUT, connection.timeout), connection.timeout)
            shared: dict[str, Any] = {"user": connection.user, "verify_ssl": connection.verify, "timeout": timeouts}
            if connection.uses_token:
                shared |= {"token_name": connection.token_name, "token_value": connection.token_secret}
            else:
                shared |= {"password": connection.password}
            self._apis[host] = proxmoxer.ProxmoxAPI(host, **shared)
        return self._apis[host]

    def _locally(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """Through ``pvesh`` on a node, as root."""
        self.sent += 1
        try:
            if "" not in self._apis:
                self._apis[""] = proxmoxer.ProxmoxAPI(backend="local")
            return _send(self._apis[""], method, path, params)
        except proxmoxer.core.ResourceException as refusal:
            raise _translate(refusal, method, path, "this node") from None
        except OSError as problem:
            raise Invalid(
                f"Without api_host the module must run on a Proxmox VE node ({problem}): set api_host (or"
                " PROXMOX_HOST)."
            ) from None


class _Silent(Exception):
    """A host gave no answer; ``sent``: the request may have reached it."""

    def __init__(self, why: str, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


def _send(api: Any, method: str, path: str, params: dict[str, Any]) -> Any:
    resource = api(path.strip("/"))
    match method:
        case "GET":
            return resource.get(**params)
        case "POST":
            return resource.post(**params)
        case "PUT":
            return resource.put(**params)
        case _:
            return resource.delete(**params)


def _plain(value: Any) -> Any:
    """Form values as Proxmox VE takes them: booleans are 0 and 1 only (pve-facts §15)."""
    return int(value) if isinstance(value, bool) else value


def _translate(refusal: Any, method: str, path: str, host: str) -> ApiError:
    reason = str(refusal.content or "")
    errors = refusal.errors
    if isinstance(errors, dict):
        reason = reason.partition(" - {")[0]
    parameters = {str(k): str(v) for k, v in errors.items()} if isinstance(errors, dict) else None
    if parameters is not None and set(parameters) == {"errors"}:
        parameters = None  # a body that is no JSON, as proxmoxer wraps it
    with contextlib.suppress(UnicodeError):
        # Reason phrases are UTF-8, but HTTP libraries read them as Latin-1.
        reason = reason.encode("latin-1").decode("utf-8")
    return from_answer(int(refusal.status_code or 0), reason, parameters, method, path, host)


def _may_have_arrived(problem: Any) -> bool:
    """Whether a request that failed on the network may have been carried out."""
    if isinstance(problem, network.ConnectTimeout):
        return False
    text = repr(problem)
    return not ("NewConnectionError" in text or "NameResolutionError" in text or "Connection refused" in text)


def _why(problem: Any) -> str:
    """A few words for people."""
    text = str(problem)
    if isinstance(problem, network.ConnectTimeout):
        return "no connection in time"
    if isinstance(problem, network.Timeout):
        return "no answer in time"
    for words, plain in (
        ("Connection refused", "connection refused"),
        ("Name or service not known", "unknown host name"),
        ("NameResolutionError", "unknown host name"),
        ("No route to host", "no route to host"),
        ("Network is unreachable", "network unreachable"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS"),
    ):
        if words in text:
            return plain
    return "connection lost"


def _stranger(host: str) -> Invalid:
    return Invalid(f"{host} answers, but not as the API of Proxmox VE does: check api_host and api_port.")


def _untrusted(host: str, problem: Any) -> PermissionDenied:
    text = str(problem)
    detail = (
        text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it does not match the host name"
    )
    return PermissionDenied(
        f"The certificate of {host} is not trusted ({detail}): set ca_path to the cluster's CA"
        " (/etc/pve/pve-root-ca.pem on any node), or give the name that is in the certificate as api_host."
    )


@contextlib.contextmanager
def _no_warnings() -> Any:
    """``validate_certs: false`` was asked for; a warning per request on stderr would break Ansible's output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
