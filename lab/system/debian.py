# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages from the Debian archive that the machine uses; the one owner of apt.

Nothing is installed: a package is downloaded into the cache and unpacked there, so that a
hypervisor or a kernel never touches the machine's boot loader. No root is needed.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.system.answers import remember
from lab.system.cache import building, cache_dir, locked
from lab.system.files import sha256, write_atomic
from lab.system.process import run

_ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What apt answers from: its sources and preferences, the lists, and what is installed.
_APT_STATE = ("/etc/apt", "/var/lib/apt/lists", "/var/lib/dpkg/status")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class Package:
    """A .deb file: its package name, version and where it lies."""

    name: str
    version: str
    file: Path
    sha256: str

    def provenance(self) -> dict[str, str]:
        return {"package": self.name, "version": self.version, "sha256": self.sha256}


def read_deb(deb: Path) -> Package:
    """Read name and version from a .deb file; UserError when it is not one."""
    if not deb.is_file():
        raise UserError(f"{deb}: there is no such .deb file")
    try:
        fields = run(["dpkg-deb", "-f", deb, "Package", "Version"])
    except LabError as error:
        raise UserError(f"{deb} is not a Debian package: {error}") from error
    values = dict(line.split(": ", 1) for line in fields.splitlines() if ": " in line)
    return Package(values["Package"], values["Version"], deb, sha256(deb))


def update() -> None:
    """Have apt fetch the machine's lists anew. It needs root; LabError where it fails."""
    run(["apt-get", "-q", "update", "--error-on=any"], timeout=900)
    find_candidate.cache_clear()
    find_dependencies.cache_clear()


@functools.cache
def find_candidate(name: str) -> str:
    """The version apt would take; UserError when the archive does not have the package."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a Debian package name")
    for line in _ask("policy", name).splitlines():
        if "Candidate:" in line and "(none)" not in line:
            return line.split(":", 1)[1].strip()
    raise UserError(
        f"apt does not know a package {name!r}: check its name, or run `apt-get update` first"
    )


@functools.cache
def find_dependencies(name: str) -> list[str]:
    """What a package depends on directly: how a meta-package names today's kernel."""
    lines = _ask("depends", name).splitlines()
    return [line.split(":", 1)[1].strip() for line in lines if "Depends:" in line]


def _ask(question: str, name: str) -> str:
    """What apt-cache says. It takes half a second, and says the same until its files change."""
    words = ["apt-cache", question, name]
    program = shutil.which("apt-cache") or "apt-cache"
    settings = os.environ.get("APT_CONFIG", "")
    depends = [program, *_APT_STATE, *([settings] if settings else [])]
    return remember([*words, program, settings], depends, lambda: run(words, env={"LC_ALL": "C"}))


def download(name: str) -> Package:
    """The candidate's .deb, downloaded once and kept in the cache."""
    version = find_candidate(name)
    folder = cache_dir() / "deb" / f"{name}_{version.replace(':', '%3a').replace('/', '_')}"
    with locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            with building(folder) as scratch:
                run(["apt-get", "download", f"{name}={version}"], cwd=scratch, timeout=1800)
    files = list(folder.glob("*.deb"))
    if len(files) != 1:
        raise LabError(f"{folder} should hold one .deb, it holds {len(files)}; remove it")
    known = folder / "sha256"  # hashed once: the largest take a second
    if not known.exists():
        write_atomic(known, sha256(files[0]))
    return Package(name, version, files[0], known.read_text())


def unpack(package: Package) -> Path:
    """The package's files in the cache, unpacked once; keyed by the .deb's content."""
    folder = cache_dir() / "unpacked" / f"{package.name}-{package.sha256[:16]}"
    with locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            with building(folder) as scratch:
                run(["dpkg-deb", "-x", package.file, scratch], timeout=1800)
    return folder


def find_mirror() -> str:
    """The address of the Debian archive that the machine's own apt uses: any suite is there.

    LabError when apt's sources do not name a Debian archive.
    """
    wanted = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    lines = run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", *wanted])
    found = [line.split(" ", 1) for line in lines.splitlines() if " " in line]
    for label, address in found:
        if label == "Debian":  # not Debian-Security, which lacks most packages
            return address.strip()
    raise LabError("apt's sources do not name a Debian archive: see /etc/apt/sources.list*")


def find_suite() -> str:
    """The code name of the machine's own Debian, such as bookworm."""
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if not name:
        raise UserError(
            "this machine does not run a Debian release (/etc/os-release has no code name)"
        )
    return name


def fetch_source(name: str, wanted: str | None, report: Callable[[str], None]) -> Package:
    """A source package's .dsc with its other files beside it, in the cache.

    ``wanted``: the version to take where the archive has it, else the newest that it has. The
    machine's own sources may lack deb-src: the lists are private ones, made from the
    archives that apt uses for binaries, and checked by the same keys. No root is needed.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a Debian package name")
    base = cache_dir() / "src"
    with locked(base / f"{name}.lock"):
        known = base / f"{name}_{_flatten(wanted or 'newest')}.version"  # what was taken, before
        if not known.exists():
            write_atomic(known, _download_source(base, name, wanted, report))
        version = known.read_text()
        folder = base / f"{name}_{_flatten(version)}"
    files = list(folder.glob("*.dsc"))
    if len(files) != 1:
        raise LabError(f"{folder} should hold one .dsc; remove {known} and it")
    return Package(name, version, files[0], sha256(files[0]))


def _flatten(version: str) -> str:
    return version.replace(":", "%3a").replace("/", "_")


def _download_source(
    base: Path, name: str, wanted: str | None, report: Callable[[str], None]
) -> str:
    """Download, and say which version it is."""
    report(f"downloading the source of {name}")
    options = _private_lists(base / "apt")
    run(["apt-get", *options, "update"], timeout=600)
    shown = run(["apt-cache", *options, "showsrc", name])
    versions = re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)
    versions.sort(key=functools.cmp_to_key(_compare_versions))
    if wanted in versions:
        versions = [str(wanted), *(v for v in versions if v != wanted)]
    first: LabError | None = None
    for version in dict.fromkeys(map(str, versions)):
        folder = base / f"{name}_{_flatten(version)}"
        try:
            if not folder.is_dir():
                with building(folder) as scratch:
                    argv = ["apt-get", *options, "source", "--download-only", f"{name}={version}"]
                    run(argv, cwd=scratch, timeout=1800)
        except LabError as error:  # an archive may list what it does not keep
            first = first or error
            report(f"the archive does not have {name} {version}")
            continue
        return version
    raise LabError(f"the source of {name} cannot be downloaded: {first or 'apt does not know it'}")


def _compare_versions(one: str, other: str) -> int:
    try:
        run(["dpkg", "--compare-versions", one, "gt", other])
    except LabError:
        return 1 if one != other else 0
    return -1


def _private_lists(folder: Path) -> list[str]:
    """Options that make apt keep private lists in ``folder``, of sources only."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    wanted = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    shape = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = run(["apt-get", "indextargets", "--format", shape, *wanted]).splitlines()
    # A private entry must name the keys where apt's own entry does.
    keys = f"[signed-by={_ARCHIVE_KEYS}] " if _ARCHIVE_KEYS.is_file() else ""
    entries = [f"deb-src {keys}{line}" for line in dict.fromkeys(lines) if line.count(" ") == 2]
    if not entries:
        raise LabError("apt's sources do not name a Debian archive: see /etc/apt/sources.list*")
    write_atomic(folder / "sources.list", "\n".join(entries) + "\n")
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists", "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives", "APT::Get::List-Cleanup": "0",
        "Acquire::Languages": "none", "APT::Sandbox::User": "",
    }  # fmt: skip
    return [f"-o={key}={value}" for key, value in settings.items()]
