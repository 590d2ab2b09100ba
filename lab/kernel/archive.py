# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.org's archive of releases: a tarball by version, from a mirror, verified, in the cache.

    MIRROR/v3.x/linux-3.19.8.tar.xz
    MIRROR/v3.x/sha256sums.asc          the folder's hashes, signed
    MIRROR/v3.x/linux-3.19.8.tar.sign   a signature of the unpacked .tar

The list of hashes is asked first. Where its signer is not known, or it does not have the
release, the tarball's own signature decides. Without either nothing is unpacked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.config.kernel import KERNEL_ORG
from lab.errors import LabError, UserError
from lab.system.answers import cached_sha256
from lab.system.cache import cache_dir, locked, require_space
from lab.system.download import NotThere, Unreachable, fetch_large, fetch_small
from lab.system.files import sha256, sha256_of, write_atomic
from lab.system.pgp import check_clear_signed, check_detached
from lab.system.scratch import open_scratch
from lab.system.tarball import read_unpacked

Report = Callable[[str], None]
KEYS = tuple(sorted((Path(__file__).parent / "keys").glob("*.asc")))
_LIST = "sha256sums.asc"
_SPACE_MIB = 400  # twice that of the largest so far


@dataclass(frozen=True)
class Archive:
    """Where releases come from, and whose signatures count besides those of ``KEYS``."""

    mirrors: tuple[str, ...] = (KERNEL_ORG,)
    keyring: Path | None = None

    @property
    def keys(self) -> tuple[Path, ...]:
        return (*KEYS, self.keyring) if self.keyring is not None else KEYS


@dataclass(frozen=True)
class Tarball:
    """A release that was verified. ``proof``: the file whose signature says so."""

    version: str
    file: Path
    sha256: str
    origin: str  # the address that it came from
    proof: str
    signer: str  # fingerprint of the key


def find_folders(version: str) -> tuple[str, ...]:
    """Where kernel.org keeps a release: long-term ones of 2.6 are in a folder of their series."""
    if version.startswith("2.6."):
        series = ".".join(version.split(".")[:3])
        own = f"v2.6/longterm/v{series}"
        return ("v2.6", own) if version != series else ("v2.6",)
    return (f"v{version.split('.')[0]}.x",)


def fetch(version: str, archive: Archive, report: Report) -> Tarball:
    """The release's tarball, from the cache or from the first mirror that has it.

    UserError when no mirror has it, or none that can be verified; LabError when a mirror does
    not answer, ends early, or sends what was not signed.
    """
    base = cache_dir() / "release"
    # A tarball that was verified by other keys was not verified.
    known = base / f"{version}-{_identify(archive.keys)}.json"
    with locked(base / f"{version}.lock"):
        found = _recall(known)
        if found is None:
            found = _ask_mirrors(version, archive, base, report)
            write_atomic(known, json.dumps(asdict(found) | {"file": str(found.file)}) + "\n")
    return found


def _identify(keys: tuple[Path, ...]) -> str:
    try:
        return sha256_of(*(key.read_bytes() for key in keys))[:16]
    except OSError as error:
        raise UserError(f"the keyring {error.filename} cannot be read ({error.strerror})") from None


def _recall(known: Path) -> Tarball | None:
    """What was verified before, if it is still there as it was."""
    if not known.exists():
        return None
    facts = json.loads(known.read_text())
    found = Tarball(**{**facts, "file": Path(facts["file"])})
    return found if found.file.is_file() and cached_sha256(found.file) == found.sha256 else None


def _ask_mirrors(version: str, archive: Archive, base: Path, report: Report) -> Tarball:
    problems: list[UserError | LabError] = []
    for mirror in archive.mirrors:
        try:
            return _ask(version, mirror, archive.keys, base, report)
        except (UserError, LabError) as error:
            report(str(error))
            problems.append(error)
    said = "; ".join(dict.fromkeys(map(str, problems)))
    hint = ""
    if any(isinstance(error, Unreachable) for error in problems):
        place, name = find_folders(version)[-1], _name(version)
        hint = (
            f": without a network, put {name}.xz and {name}.sign of {KERNEL_ORG}/"
            f"{place} into a folder FOLDER/{place}, and `mirror: FOLDER` into lab.yaml"
        )
    kind = LabError if any(isinstance(error, LabError) for error in problems) else UserError
    raise kind(f"release {version}: {said}{hint}")


def _ask(version: str, mirror: str, keys: tuple[Path, ...], base: Path, report: Report) -> Tarball:
    """The release from one mirror; of its folders the first that has it."""
    first: NotThere | None = None
    for folder in find_folders(version):
        place = _Place(version, mirror, folder, keys, base, report)
        try:
            return place.take()
        except NotThere as error:
            first = first or error
    assert first is not None
    raise first


def _name(version: str) -> str:
    return f"linux-{version}.tar"


@dataclass(frozen=True)
class _Place:
    """One folder of one mirror."""

    version: str
    mirror: str
    folder: str
    keys: tuple[Path, ...]
    base: Path
    report: Report

    def take(self) -> Tarball:
        listed, why = self._read_list()
        return self._take_listed(*listed) if listed else self._take_signed(why)

    def _read_list(self) -> tuple[tuple[str, str] | None, str]:
        """Hash and signer by the folder's list; or None, and why the list says nothing."""
        try:
            content = fetch_small(self.mirror, f"{self.folder}/{_LIST}")
        except NotThere as error:
            return None, str(error)
        with open_scratch("release") as scratch:
            write_atomic(scratch / _LIST, content)
            check = check_clear_signed(scratch / _LIST, self.keys)
        where = f"{self.mirror}/{self.folder}/{_LIST}"
        if not check.signer:
            return (
                None,
                f"{where} is signed by a key that neither the lab nor `keyring:` has",
            )
        name = re.escape(f"{_name(self.version)}.xz")
        line = re.search(rf"^([0-9a-f]{{64}}) [ *]{name}$", check.text.decode("latin-1"), re.M)
        if line is None:
            return None, f"{where} does not name it"
        return (line.group(1), check.signer), ""

    def _take_listed(self, wanted: str, signer: str) -> Tarball:
        """Bring what has the wanted hash; what was begun by an earlier call is gone on with."""
        part = self.base / f"{wanted}.part"
        resumed = part.exists()
        self._bring(part)
        if resumed and sha256(part) != wanted:  # what was begun was not the beginning of this
            part.unlink()
            self._bring(part)
        found = sha256(part)
        if found != wanted:
            part.unlink()
            raise LabError(
                f"{self._address} is not the file that {_LIST} names: its sha256 is {found}, "
                f"it should be {wanted}"
            )
        return self._keep(part, wanted, _LIST, signer)

    def _take_signed(self, why: str) -> Tarball:
        """Bring what the tarball's own signature fits."""
        sign = f"{_name(self.version)}.sign"
        try:
            signature = fetch_small(self.mirror, f"{self.folder}/{sign}")
        except NotThere as error:
            raise NotThere(f"{why}, and {error}") from None
        part = self.base / f"{sha256_of(self.mirror, self.folder, self.version)[:16]}.part"
        self._bring(part)
        self.report("checking the signature")
        try:
            with open_scratch("release") as scratch:
                write_atomic(scratch / sign, signature)
                unpacked = read_unpacked(part)
                check = check_detached(scratch / sign, unpacked, self._address, self.keys)
        except LabError:
            part.unlink()
            raise
        if not check.signer:
            raise UserError(f"{why}, and so is {sign}: see docs/kernels.md")
        return self._keep(part, sha256(part), sign, check.signer)

    @property
    def _address(self) -> str:
        return f"{self.mirror}/{self.folder}/{_name(self.version)}.xz"

    def _bring(self, part: Path) -> None:
        require_space(self.base, _SPACE_MIB, "a release's tarball")
        self.report(f"getting {self._address}")
        fetch_large(self.mirror, f"{self.folder}/{_name(self.version)}.xz", part, self.report)

    def _keep(self, part: Path, digest: str, proof: str, signer: str) -> Tarball:
        file = self.base / digest / f"{_name(self.version)}.xz"
        file.parent.mkdir(exist_ok=True)
        part.rename(file)
        return Tarball(self.version, file, digest, self._address, proof, signer)
