# SPDX-License-Identifier: GPL-2.0-or-later
"""The certificates by which scheduler, workers and clients of a cluster know each other.

The authority signs one for each role. Whoever has one of them may run anything on every worker,
so keys are readable by their owner only, and the authority's own key is needed nowhere but here.
"""

from __future__ import annotations

import datetime
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.errors import UserError

Role = Literal["scheduler", "worker", "client"]
ROLES: tuple[Role, ...] = ("scheduler", "worker", "client")
AUTHORITY = "ca"
_DAYS = 3650
_EARLIER = datetime.timedelta(hours=1)  # of machines whose clocks differ


@dataclass(frozen=True)
class KeyFiles:
    """What one role needs of a folder of keys."""

    authority: Path
    certificate: Path
    key: Path


def make_keys(folder: Path) -> list[Path]:
    """The authority and a certificate for each role, as files of ``folder``; returns the files.

    UserError where there are keys already: workers that have them would be locked out.
    """
    if (folder / f"{AUTHORITY}.pem").exists():
        raise UserError(
            f"{folder}: has keys already; name another folder, or remove it, which locks out "
            "every machine that has a copy"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    root = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("xen-fpu-lab authority")
    made = _write(folder, AUTHORITY, root, _sign(issuer, root, issuer, root, authority=True))
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"xen-fpu-lab {role}")
        made += _write(folder, role, key, _sign(subject, key, issuer, root))
    return made


def find_keys(folder: Path, role: Role) -> KeyFiles:
    """The files of a role; UserError where one is missing or its key is not its owner's alone."""
    found = KeyFiles(
        folder / f"{AUTHORITY}.pem", folder / f"{role}.pem", folder / f"{role}.key"
    )  # fmt: skip
    for path in (found.authority, found.certificate, found.key):
        if not path.is_file():
            raise UserError(f"{path}: is missing; `lab cluster keys {folder}` makes all of them")
    mode = stat.S_IMODE(found.key.stat().st_mode)
    if mode & 0o077:
        raise UserError(
            f"{found.key}: others may read it (mode {mode:o}); `chmod 600` it, and make new keys "
            "if they did"
        )
    return found


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    root: ec.EllipticCurvePrivateKey,
    authority: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .sign(root, hashes.SHA256())
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> list[Path]:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    paths = [folder / f"{name}.key", folder / f"{name}.pem"]
    contents = [(private, 0o600), (certificate.public_bytes(serialization.Encoding.PEM), 0o644)]
    for path, (content, mode) in zip(paths, contents, strict=True):
        # Never readable by others, not even for a moment.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
    return paths
