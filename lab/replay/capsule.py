# SPDX-License-Identifier: GPL-2.0-or-later
"""A capsule: one file with a deterministic boot and the console that it must give.

A zip archive of a closed set of members. Equal content gives equal bytes: fixed order, fixed
dates. It may come from a stranger, so nothing in it is used as a path or a command line (QEMU's
is made here, from a few checked values), sizes are bounded, and every member is hashed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lab.config.model import MAX_SHIFT, check_args
from lab.errors import LabError, UserError
from lab.qemu.boot import Boot, command, members, portable
from lab.qemu.identity import Identity
from lab.system.files import replacing, sha256, shorten
from lab.system.scratch import open_scratch
from lab.verdict.facts import TrialFacts

FORMAT = 1
SUFFIX = ".capsule"
NAME = "replay.capsule"  # in a trial's folder
_MANIFEST = "manifest.json"
_MIB = 1 << 20
# Members and their largest sizes. vmlinux with full debugging information is the largest by far.
LIMITS = {
    _MANIFEST: _MIB,
    "kernel": 256 * _MIB,
    "ramdisk": 64 * _MIB,
    "console.log": 64 * _MIB,
    "xen": 64 * _MIB,
    "vmlinux": 1024 * _MIB,
}
_NEEDED = ("kernel", "ramdisk", "console.log")
_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip archive can hold
_BLOCK = 1 << 20

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Line = Annotated[str, Field(max_length=400, pattern=r"^[ -~]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Model):
    """The settings of QEMU that differ; ``lab.qemu.boot`` adds the rest of its command line."""

    icount: int = Field(ge=0, le=MAX_SHIFT)
    vcpus: Literal[1]
    memory_mib: int = Field(ge=64, le=16384)
    args: Annotated[str, Field(max_length=4096)]
    xen_args: Annotated[str, Field(max_length=4096)]

    _args = field_validator("args", "xen_args")(check_args)


class Member(_Model):
    """A file of the capsule. ``size`` in bytes."""

    sha256: _Hash
    size: int = Field(ge=0)


class QemuFacts(_Model):
    """As ``lab.qemu.identity.Identity``."""

    version: _Line
    program: _Hash
    parts: dict[_Line, _Hash]


class Manifest(_Model):
    """All that is known of the boot besides its files."""

    format: Literal[1]
    cell: _Line
    facts: dict[str, str | int | None]  # as lab.verdict.facts.TrialFacts
    machine: Machine
    qemu: QemuFacts
    command: list[str]  # what was run, with file names for paths; to be read, never run
    shows: _Line  # the verdict's reason
    files: dict[str, Member]
    provenance: dict[str, Any]

    @property
    def identity(self) -> Identity:
        return Identity(self.qemu.version, self.qemu.program, dict(self.qemu.parts))

    @property
    def trial(self) -> TrialFacts:
        return TrialFacts(**self.facts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Content:
    """What goes into a capsule. ``boot`` must be deterministic (its icount is set)."""

    facts: TrialFacts
    boot: Boot
    qemu: Identity
    console: Path
    shows: str
    provenance: dict[str, Any]
    vmlinux: Path | None = None


@dataclass(frozen=True)
class Capsule:
    """An unpacked one: its files are in ``folder`` under their members' names."""

    path: Path
    manifest: Manifest
    folder: Path

    @property
    def console(self) -> bytes:
        return (self.folder / "console.log").read_bytes()

    @property
    def vmlinux(self) -> Path | None:
        return self.folder / "vmlinux" if "vmlinux" in self.manifest.files else None

    def boot(self, qemu: str) -> Boot:
        """The same boot, by this machine's QEMU."""
        wanted = self.manifest.machine
        return Boot(
            qemu=qemu,
            accelerator="tcg",
            kernel=self.folder / "kernel",
            ramdisk=self.folder / "ramdisk",
            args=wanted.args,
            vcpus=wanted.vcpus,
            memory_mib=wanted.memory_mib,
            xen=self.folder / "xen" if "xen" in self.manifest.files else None,
            xen_args=wanted.xen_args,
            icount=wanted.icount,
        )


def write(path: Path, content: Content) -> None:
    """Write a capsule atomically."""
    files = _files(content)
    manifest = _manifest(content, files)
    with replacing(path) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        text = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True)
        archive.writestr(_info(_MANIFEST), text + "\n", zipfile.ZIP_DEFLATED, 9)
        for member, source in files.items():
            _add(archive, member, source)


def _files(content: Content) -> dict[str, Path]:
    found = {**members(content.boot), "console.log": content.console}
    if content.vmlinux is not None and content.vmlinux.stat().st_size <= LIMITS["vmlinux"]:
        found["vmlinux"] = content.vmlinux
    return found


def _manifest(content: Content, files: dict[str, Path]) -> Manifest:
    boot = content.boot
    if boot.icount is None:
        raise LabError("only a deterministic boot can be kept as a capsule")
    return Manifest(
        format=FORMAT,
        cell=content.facts.cell,
        facts=asdict(content.facts),
        machine=Machine(
            icount=boot.icount,
            vcpus=1,
            memory_mib=boot.memory_mib,
            args=boot.args,
            xen_args=boot.xen_args,
        ),
        qemu=QemuFacts(**asdict(content.qemu)),
        command=command_of(boot),
        shows=content.shows.encode("ascii", "replace").decode()[:400],
        files={m: Member(sha256=sha256(s), size=s.stat().st_size) for m, s in files.items()},
        provenance=content.provenance,
    )


def command_of(boot: Boot) -> list[str]:
    """QEMU's command line with members' names for paths: the same on every machine."""
    return command(replace(portable(boot), qemu="qemu"), Path("console.log"))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> None:
    info = _info(name)
    info.file_size = source.stat().st_size
    with source.open("rb") as data, archive.open(info, "w") as out:
        while block := data.read(_BLOCK):
            out.write(block)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Capsule]:
    """Unpack a capsule into a temporary folder, checked; UserError when it is damaged."""
    with open_scratch("capsule") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                manifest = _unpack(archive, folder)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
        except _DamagedError as error:
            raise UserError(f"{path}: is not a whole capsule: {error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise UserError(
                f"{path}: is not a whole capsule: it is a damaged zip archive or none at all; "
                "copy it again, or make a new one with `lab capsule CELL`"
            ) from None
        yield Capsule(path, manifest, folder)


class _DamagedError(Exception):
    """What is wrong with a capsule, in a phrase."""


def _unpack(archive: zipfile.ZipFile, folder: Path) -> Manifest:
    names = [info.filename for info in archive.infolist()]
    strange = [name for name in names if name not in LIMITS]
    if strange or len(set(names)) != len(names):
        which = repr(strange[0][:80]) if strange else "one name twice"
        raise _DamagedError(f"it holds {which}; known are {', '.join(LIMITS)}")
    if _MANIFEST not in names:
        raise _DamagedError(f"it has no {_MANIFEST}")
    _extract(archive, _MANIFEST, folder)
    manifest = _check((folder / _MANIFEST).read_bytes())
    if sorted(manifest.files) != sorted(set(names) - {_MANIFEST}):
        raise _DamagedError("its manifest names other files than it holds")
    missing = [name for name in _NEEDED if name not in manifest.files]
    if missing:
        raise _DamagedError(f"it has no {missing[0]}")
    for name, member in manifest.files.items():
        if _extract(archive, name, folder) != member.sha256:
            raise _DamagedError(f"the hash of {name} is not the one in its manifest")
    return manifest


def _extract(archive: zipfile.ZipFile, name: str, folder: Path) -> str:
    """Unpack one member, never more than its limit whatever its header says; its SHA-256."""
    digest, size = hashlib.sha256(), 0
    # ``name`` is one of LIMITS, so not a path.
    with archive.open(name) as data, (folder / name).open("xb") as out:
        while block := data.read(_BLOCK):
            size += len(block)
            if size > LIMITS[name]:
                raise _DamagedError(f"{name} is larger than {LIMITS[name] // _MIB} MiB")
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def _check(raw: bytes) -> Manifest:
    try:
        content = json.loads(raw)
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise _DamagedError(f"it has format {found!r:.20}, this lab reads format {FORMAT}")
        manifest = Manifest.model_validate(content)
        _ = manifest.trial
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _DamagedError(f"{_MANIFEST}: {where}: {first['msg']}"[:200]) from None
    except (ValueError, TypeError, RecursionError):
        raise _DamagedError(f"its {_MANIFEST} is malformed") from None
    return manifest


def locate(path: Path) -> Path:
    """A capsule's file; ``path`` may be a run's or trial's folder with exactly one in it."""
    if not path.is_dir():
        return path
    found = sorted({p.resolve() for p in path.rglob(NAME)})
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} capsules; name one of them" if found else "no capsule"
    raise UserError(f"{path}: holds {what}" + "".join(f"\n  {shorten(p)}" for p in found[:20]))
