# SPDX-License-Identifier: GPL-2.0-or-later
"""The dom0 image: Debian with Xen's tools, made by mmdebstrap and mke2fs, no root needed.

Kept in the cache under the hash of its recipe (images/dom0), of the versions of its main
packages and of the lab's keys. Interrupted, it leaves nothing under its name.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.host.keys import Keys
from lab.system import debian
from lab.system.answers import cached_sha256
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256_of, write_atomic
from lab.system.process import follow, run
from lab.system.project import data

RECIPE = data("images", "dom0")
_VERSION = "1"  # of what this module does beside the recipe
_SPACE_MIB = 3500
_DISK = "3G"  # sparse; a run's own changes go into an overlay
_EPOCH = "1577836800"  # 2020-01-01: the image's files do not say when they were made
# Only what mounts the root file system; Debian's default ramdisk holds every driver.
_MODULES = "ahci sd_mod ext4 e1000e"
_LEAVE_OUT = ("doc", "man", "locale", "info", "icons", "lintian")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Dom0Image:
    """``disk`` is a raw ext4 file system; the kernel and ramdisk of dom0 are beside it."""

    folder: Path
    keys: Keys

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def ramdisk(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def xen(self) -> Path:
        return self.folder / "xen"

    def packages(self) -> dict[str, str]:
        """Versions by name of everything that is installed in the image."""
        packages: dict[str, str] = json.loads((self.folder / "packages.json").read_text())
        return packages

    def hypervisor(self) -> list[str]:
        """Name and version of the Xen packages that decide what guests see."""
        return [f"{n} {v}" for n, v in self.packages().items() if n.startswith("xen-hypervisor-")]

    def provenance(self) -> dict[str, Any]:
        return {
            "recipe": self.folder.name,
            "kernel_sha256": cached_sha256(self.kernel),
            "xen_sha256": cached_sha256(self.xen),
            "packages": self.packages(),
        }


def build_image(report: Report, xen_package: str) -> Dom0Image:
    """The image, from the cache or made now (a minute or two, 300 MB from the registry)."""
    keys = Keys.make()
    packages = _packages(xen_package)
    key = _key(packages, keys)
    final = cache_dir() / "dom0" / key
    final.parent.mkdir(exist_ok=True)
    final.parent.chmod(0o700)  # the image holds dom0's private host key
    with locked(final.with_name(f"{key}.lock")):
        if not final.is_dir():
            require_space(cache_dir(), _SPACE_MIB, "the dom0 image")
            with building(final) as scratch:
                _make(scratch, packages, keys, report)
    return Dom0Image(final, keys)


def _packages(xen_package: str) -> list[str]:
    """Names from packages.txt for the hypervisor ``xen-hypervisor-VERSION-amd64``."""
    found = re.fullmatch(r"xen-hypervisor-([0-9.]+)-amd64", xen_package)
    if not found:
        raise LabError(f"{xen_package} is not a xen-hypervisor package: the dom0 image needs one")
    lines = (RECIPE / "packages.txt").read_text().splitlines()
    names = [line.split("#")[0].strip() for line in lines]
    return [name.replace("XEN", found.group(1)) for name in names if name]


def _key(packages: list[str], keys: Keys) -> str:
    recipe = [path.read_text() for path in sorted(RECIPE.iterdir()) if path.is_file()]
    versions = [f"{name}={debian.find_candidate(name)}" for name in packages]
    secrets = [keys.public(keys.identity), keys.public(keys.host)]
    return sha256_of(_VERSION, *recipe, *versions, *secrets)[:16]


def _make(scratch: Path, packages: list[str], keys: Keys, report: Report) -> None:
    log = scratch / "build.log"
    tarball = scratch / "root.tar"
    report("downloading and installing (a minute or two)")

    def show(line: str) -> None:
        if line.startswith("I: "):
            report(line[3:60])

    follow(_mmdebstrap(packages, tarball), log=log, line=show, env={"SOURCE_DATE_EPOCH": _EPOCH})
    report("writing the file system")
    root = scratch / "root"
    root.mkdir()
    # One fakeroot for both: owners and device nodes live in its memory only.
    script = "\n".join(
        ["set -e", f"tar -x -f {_q(tarball)} -C {_q(root)}", *_install(root, keys),
         *_boot_files(root, scratch), f"{shlex.join(_mke2fs(root, scratch / 'disk.img'))}"]
    )  # fmt: skip
    write_atomic(scratch / "finish.sh", script + "\n")
    wrapper = [] if os.geteuid() == 0 else ["fakeroot"]
    run([*wrapper, "sh", scratch / "finish.sh"], log=log, env={"SOURCE_DATE_EPOCH": _EPOCH})
    _unpack_xen(scratch)
    write_atomic(scratch / "packages.json", json.dumps(_versions(root), indent=1) + "\n")
    shutil.rmtree(root)
    tarball.unlink()


def _mmdebstrap(packages: list[str], tarball: Path) -> list[str]:
    """The command line of mmdebstrap; without a mirror it uses the machine's own sources."""
    modules = f'printf "%s\\n" {_MODULES} > "$1/etc/initramfs-tools/modules"'
    conf = 'mkdir -p "$1/etc/initramfs-tools/conf.d"'
    only = 'echo MODULES=list > "$1/etc/initramfs-tools/conf.d/lab"'
    return [
        "mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}",
        f"--essential-hook={conf}; {only}; {modules}",
        *[f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEAVE_OUT],
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        debian.find_suite(), str(tarball),
    ]  # fmt: skip


def _install(root: Path, keys: Keys) -> list[str]:
    """Shell lines that put the lab's files into the unpacked root."""
    ssh = root / "etc/ssh"
    return [
        f"mkdir -p {_q(root / 'lab')} {_q(root / 'root/.ssh')}",
        f"install -m 755 {_q(RECIPE / 'boot.sh')} {_q(root / 'lab/boot.sh')}",
        f"install -m 644 {_q(RECIPE / 'inittab')} {_q(root / 'etc/inittab')}",
        f"install -m 644 {_q(RECIPE / 'sshd_config')} {_q(ssh / 'sshd_config')}",
        f"rm -f {_q(ssh)}/ssh_host_*",
        f"install -m 600 {_q(keys.host)} {_q(ssh / 'ssh_host_ed25519_key')}",
        f"chmod 700 {_q(root / 'root/.ssh')}",
        f"install -m 600 {_q(keys.identity.with_suffix('.pub'))} "
        f"{_q(root / 'root/.ssh/authorized_keys')}",
        f": > {_q(root / 'etc/machine-id')}",
    ]


def _boot_files(root: Path, scratch: Path) -> list[str]:
    boot = _q(root / "boot")
    return [
        f"cp {boot}/vmlinuz-* {_q(scratch / 'vmlinuz')}",
        f"cp {boot}/initrd.img-* {_q(scratch / 'initrd.img')}",
        f"cp {boot}/xen-*-amd64.gz {_q(scratch / 'xen.gz')}",
        f"chmod 644 {_q(scratch / 'vmlinuz')} {_q(scratch / 'initrd.img')}",
    ]


def _mke2fs(root: Path, disk: Path) -> list[str]:
    """The command line of mke2fs; fixed identifiers, so that equal input gives equal images."""
    uuid = "6c616220-646f-6d30-2069-6d6167650000"
    return ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", "lab-dom0", "-U", uuid,
            "-E", f"hash_seed={uuid}", "-d", str(root), str(disk), _DISK]  # fmt: skip


def _unpack_xen(scratch: Path) -> None:
    """QEMU's multiboot loader wants the 32-bit ELF file itself, not its gzip."""
    packed = scratch / "xen.gz"
    write_atomic(scratch / "xen", gzip.decompress(packed.read_bytes()))
    packed.unlink()


def _versions(root: Path) -> dict[str, str]:
    status = (root / "var/lib/dpkg/status").read_text(errors="replace")
    names = re.findall(r"^Package: (\S+)$(?:\n.+)*?\nVersion: (\S+)$", status, re.MULTILINE)
    return dict(sorted(names))


def _q(path: Path) -> str:
    return shlex.quote(str(path))
