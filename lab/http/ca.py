# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own certificate authority, and a certificate per node, kept in a folder."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CURVE = ec.SECP256R1()
"""Signs in a fraction of a millisecond; RSA would dominate the time of short requests."""
_DAYS = 3650


class Authority:
    """Creates what is missing in ``folder``: ``ca.pem``, ``ca.key``, ``<node>.pem``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca.key"
        if self.ca_file.exists() and key_file.exists():
            self._cert = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file} is not a key that the lab made; remove the folder to get a new one.")
            self._key = key
        else:
            self._key = ec.generate_private_key(_CURVE)
            self._cert = self._make_ca()
            _write(key_file, _private(self._key))
            _write(self.ca_file, self._cert.public_bytes(serialization.Encoding.PEM))

    def context(self, node: str, extra_address: str | None = None) -> ssl.SSLContext:
        """TLS for a node's port; its certificate is valid for the node's name and for this machine's loopback."""
        path = self._folder / f"{node}.pem"
        if not path.exists():
            _write(path, self._make_cert(node, extra_address))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context

    def fingerprint(self, node: str) -> str:
        """SHA-256 of the node's certificate, as ``GET /nodes`` shows it."""
        cert = x509.load_pem_x509_certificate((self._folder / f"{node}.pem").read_bytes())
        return cert.fingerprint(hashes.SHA256()).hex(":").upper()

    def _make_ca(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pve.mobility lab CA")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        subject_key = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(name, name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(subject_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _make_cert(self, node: str, extra_address: str | None) -> bytes:
        key = ec.generate_private_key(_CURVE)
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", node, f"{node}.lab")]
        addresses = dict.fromkeys(filter(None, ("127.0.0.1", "::1", extra_address)))
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{node}.lab")])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        cert = (
            _builder(subject, self._cert.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(issuer_key, critical=False)
            .add_extension(subject_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _private(key) + cert.public_bytes(serialization.Encoding.PEM)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    # Certificates live in the time of the clients, not in the lab's.
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)
