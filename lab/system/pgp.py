# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenPGP signatures of files, checked by gpgv; the one owner of gpgv.

Only the keys that are given count: no user's keyring and no key server has a say.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.system.files import write_atomic
from lab.system.scratch import open_scratch

_BLOCK = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(?:[^\n]*: [^\n]*\n)*\s*?\n(.*?)"
    r"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)


@dataclass(frozen=True)
class Check:
    """What gpgv found. ``signer``: the primary key's fingerprint; empty for an unknown key."""

    signer: str
    text: bytes = b""  # what is signed, of a clear-signed file


class BadSignature(LabError):  # noqa: N818 (a finding about the file)
    """The file or its signature was changed, or there is not a signature at all."""


def check_clear_signed(file: Path, keys: Sequence[Path]) -> Check:
    """A clear-signed file's signer and signed text; BadSignature when it is not as signed."""
    with _open_keyring(keys) as (keyring, folder):
        out = folder / "text"
        status = _run_gpgv([*keyring, "--output", str(out), str(file)], ())
        signer = _find_signer(status, file.name)
        return Check(signer, out.read_bytes() if signer else b"")


def check_detached(
    signature: Path, content: Iterable[bytes], what: str, keys: Sequence[Path]
) -> Check:
    """The signer of ``content``, which comes in pieces; BadSignature when it is another's."""
    with _open_keyring(keys) as (keyring, _):
        return Check(_find_signer(_run_gpgv([*keyring, str(signature), "-"], content), what))


@contextlib.contextmanager
def _open_keyring(keys: Sequence[Path]) -> Iterator[tuple[list[str], Path]]:
    """Gpgv's options for the keys, and a folder that goes with them. It reads binary keys only."""
    with open_scratch("keys") as folder:
        options = []
        for number, key in enumerate(keys):
            write_atomic(folder / f"{number}.gpg", _read_keys(key))
            options += ["--keyring", str(folder / f"{number}.gpg")]
        yield options, folder


def _read_keys(file: Path) -> bytes:
    """A file's keys, armored or not; UserError when it cannot be read or holds none."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"the keyring {file} cannot be read ({error.strerror})") from None
    if b"-----BEGIN PGP" not in content:
        if not content:
            raise UserError(f"the keyring {file} is empty; `gpg --export KEY` writes one")
        return content
    made = b""
    for block in _BLOCK.findall(content.decode("latin-1").replace("\r\n", "\n")):
        lines = [line for line in block.splitlines() if not line.startswith("=")]  # its checksum
        try:
            made += base64.b64decode("".join(lines), validate=True)
        except binascii.Error:
            raise UserError(f"the keyring {file} is damaged: not base64") from None
    if not made:
        raise UserError(f"the keyring {file} holds no public key; `gpg --export KEY` writes one")
    return made


def _run_gpgv(words: Sequence[str], content: Iterable[bytes]) -> list[list[str]]:
    """Gpgv's status lines in words, fed with ``content``; what else it says is for people."""
    argv = ["gpgv", "--quiet", "--status-fd", "1", *words]
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise LabError("the command 'gpgv' is not installed; `lab doctor` says how") from error
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
            for piece in content:
                pipe.write(piece)
        out = child.stdout.read().decode(errors="replace")  # a few lines: no pipe fills up
    marked = (line.split() for line in out.splitlines() if line.startswith("[GNUPG:] "))
    status = [words[1:] for words in marked if len(words) > 1]
    return [*status, ["EXIT", str(child.returncode)]]


def _find_signer(status: list[list[str]], what: str) -> str:
    """A good signature's primary key, or empty where only unknown keys have signed."""
    said = {words[0] for words in status}
    valid = next((words for words in status if words[0] == "VALIDSIG"), None)
    ended_well = ["EXIT", "0"] in status
    if valid is not None and "GOODSIG" in said and ended_well:
        return valid[-1]
    if said & {"BADSIG", "REVKEYSIG", "EXPKEYSIG", "EXPSIG"}:
        kinds = {"BADSIG": "it was changed after it was signed", "REVKEYSIG": "its key is revoked"}
        found = next((text for word, text in kinds.items() if word in said), "it has expired")
        raise BadSignature(f"the signature of {what} is wrong: {found}")
    if "NO_PUBKEY" in said and "NODATA" not in said:
        return ""
    raise BadSignature(f"{what} has no signature that gpgv can read")
