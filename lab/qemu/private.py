# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU 7.2 of the lab's own, for machines whose QEMU cannot do every guest kind (Debian 13).

Debian 12's packages are unpacked (never installed) into the cache by mmdebstrap, from the
mirror that the machine's own apt uses, checked against Debian's archive keys. The program runs
through the dynamic loader that came with it, so that nothing of the machine's libraries is
mixed in; a small script makes this look like one program, for people and for libvirt.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.system import debian
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256_of, write_atomic
from lab.system.process import run
from lab.system.scratch import open_scratch

SUITE = "bookworm"
PACKAGES = ("qemu-system-x86", "seabios", "ipxe-qemu")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SPACE_MIB = 600
_TRIPLET = "x86_64-linux-gnu"
# What QEMU was compiled to look for under /usr. Modules hold TCG itself in Debian's build.
_DATA = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
_LIBRARIES = (f"lib/{_TRIPLET}", f"usr/lib/{_TRIPLET}", f"usr/lib/{_TRIPLET}/pulseaudio")


def folder() -> Path:
    """Where it is or would be; keyed by its content."""
    key = sha256_of(SUITE, *PACKAGES, script(Path("/")))[:12]
    return cache_dir() / "qemu" / f"{SUITE}-{key}"


def script(root: Path) -> str:
    """The wrapper script for the emulator: pure.

    ``exec`` keeps the process id, so a signal to the script's process reaches QEMU itself.
    """
    libraries = ":".join(str(root / part) for part in _LIBRARIES)
    words = [
        str(root / f"lib/{_TRIPLET}/ld-linux-x86-64.so.2"),
        "--library-path", libraries,
        "--argv0", "qemu-system-x86_64",
        str(root / "usr/bin/qemu-system-x86_64"),
    ]  # fmt: skip
    for part in _DATA:
        words += ["-L", str(root / part)]
    modules = shlex.quote(str(root / f"usr/lib/{_TRIPLET}/qemu"))
    return (
        "#!/bin/sh\n"
        "# Debian 12's QEMU with its own loader, libraries, modules and firmware.\n"
        f"export QEMU_MODULE_DIR={modules}\n"
        f'exec {shlex.join(words)} "$@"\n'
    )


def ensure(report: Callable[[str], None]) -> Path:
    """The emulator's path; it is unpacked first if it is not there yet. LabError if it fails."""
    final = folder()
    program = final / "qemu-system-x86_64"
    with locked(final.with_name(final.name + ".lock")):
        if not program.exists():
            report("unpacking Debian 12's QEMU 7.2 into the cache (once, about 15 s)")
            _make(final)
    return program


def _make(final: Path) -> None:
    if not KEYRING.exists():
        raise LabError(f"{KEYRING} is missing: install debian-archive-keyring")
    require_space(cache_dir(), _SPACE_MIB, "the private QEMU")
    log = final.with_name(final.name + ".log")
    with building(final) as scratch, open_scratch("qemu") as spare:
        # Through a tar file: without root, mmdebstrap's folders belong to subordinate users.
        archive = spare / "root.tar"
        run(
            [
                "mmdebstrap", "--variant=extract", f"--include={','.join(PACKAGES)}",
                "--aptopt=Apt::Install-Recommends \"false\"", f"--keyring={KEYRING}",
                SUITE, archive, debian.find_mirror(),
            ],
            log=log,
            # Not below the user's home, which mmdebstrap's subordinate users cannot enter.
            env={"TMPDIR": "/var/tmp"},  # noqa: S108 - mmdebstrap makes a folder of its own
            timeout=1800,
        )  # fmt: skip
        unpack = ["tar", "-C", str(scratch), "-xf", str(archive), "--no-same-owner"]
        run([*unpack, "--exclude=./dev", "--exclude=./usr/share/doc"], log=log, timeout=600)
        write_atomic(scratch / "qemu-system-x86_64", script(final))
        (scratch / "qemu-system-x86_64").chmod(0o755)
