# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures by ssh keys: the one owner of `ssh-keygen -Y`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.errors import LabError, UserError
from lab.system.process import find_error, run
from lab.system.scratch import open_scratch

NAMESPACE = "xen-fpu-lab"  # a signature for something else does not count
_ANYBODY = "signer"
_SECONDS = 60
_KEYS = ("ssh-", "ecdsa-", "sk-")  # how a line with only a public key begins


def sign(data: bytes, key: Path) -> bytes:
    """An armored signature; ``key``: a private key, or a public one whose private one an agent
    has. UserError where it cannot sign.
    """
    if not key.is_file():
        raise UserError(f"{key}: there is no key file to sign with")
    with open_scratch("sign") as folder:
        path = folder / "data"
        path.write_bytes(data)
        words = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(path)]
        try:
            run(words, timeout=_SECONDS)
        except LabError as error:
            raise UserError(f"{key}: cannot sign with it ({error})") from None
        return path.with_suffix(".sig").read_bytes()


def check(data: bytes, signature: bytes, signers: Path | None) -> str:
    """Who signed, in words; LabError where the signature is not theirs.

    ``signers``: a public key, or lines of ssh-keygen's allowed signers. None: the signature is
    checked, and the key named, but not whose it is.
    """
    with open_scratch("sign") as folder:
        path = folder / "data.sig"
        path.write_bytes(signature)
        words = ["-n", NAMESPACE, "-s", str(path)]
        if signers is None:
            return _ask(["-Y", "check-novalidate", *words], data)
        allowed = folder / "allowed"
        allowed.write_text(_read_signers(signers))
        names = _ask(["-Y", "find-principals", "-s", str(path), "-f", str(allowed)], b"")
        name = names.splitlines()[0] if names else _ANYBODY
        return _ask(["-Y", "verify", "-f", str(allowed), "-I", name, *words], data)


def _read_signers(path: Path) -> str:
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: cannot be read as a file of public keys") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise UserError(f"{path}: is a private key; the signer's public one is wanted (.pub)")
    return "".join(
        f"{_ANYBODY} {line}\n" if line.startswith(_KEYS) else f"{line}\n" for line in lines
    )


def _ask(words: list[str], data: bytes) -> str:
    try:
        done = subprocess.run(
            ["ssh-keygen", *words], input=data, capture_output=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise LabError("the command 'ssh-keygen' is not installed") from None
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode != 0:
        raise LabError(find_error(said))
    return said
