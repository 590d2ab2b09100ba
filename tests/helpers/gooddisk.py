# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's disk with its known-good system: GRUB and Debian with Xen, made without root.

The lab's dom0 image becomes the first partition; Debian's GRUB is written in front of it and into
it. Nothing of GRUB is installed on this machine.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.config.xen import XenConfig
from lab.host.image import Dom0Image, build_image
from lab.system import debian
from lab.system.process import run
from lab.xen.package import find_package

_START = 1 << 20  # of the partition; GRUB's core is in the gap before it
_SECTOR = 512
_LINUX = 0x83
_PACKAGES = ("grub-common", "grub2-common", "grub-pc-bin")
# Without normal, which loads gzio when it is loaded from the disk: Debian's entries rely on it.
_CORE = ("biosdisk", "part_msdos", "ext2")
# What the image has no use for, but a machine of its own has: the ways to end.
_INITTAB = """id:2:initdefault:
si::sysinit:/lab/boot.sh
ss:2:respawn:/usr/sbin/sshd -D -e
l0:0:wait:/sbin/halt -f -p
l6:6:wait:/sbin/reboot -f
ca::ctrlaltdel:/sbin/reboot -f
"""
_DEFAULTS = """GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="net.ifnames=0 mitigations=off"
GRUB_CMDLINE_XEN="dom0_mem=1024M,max:1024M dom0_max_vcpus=1"
GRUB_DISABLE_OS_PROBER=true
"""
# As Debian's, for one entry: next_entry is read and cleared, custom.cfg is read.
_GRUB_CFG = """serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ]; then
  set default="${next_entry}"
  set next_entry=
  save_env next_entry
else
  set default=0
fi
set timeout=1
menuentry 'Debian, with Xen' --id good {
  insmod gzio
  search --no-floppy --label --set=root lab-dom0
  multiboot2 /boot/xen-%(xen)s.gz placeholder com1=115200,8n1 console=com1 \
dom0_mem=1024M,max:1024M dom0_max_vcpus=1
  module2 /boot/vmlinuz-%(kernel)s placeholder root=/dev/sda1 ro console=hvc0 net.ifnames=0 \
loglevel=6 mitigations=off panic=5
  module2 --nounzip /boot/initrd.img-%(kernel)s
}
if [ -f $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
"""


def make_disk(disk: Path) -> Dom0Image:
    """The disk, 3 GiB and sparse, and the image whose keys it has."""
    image = build_image(lambda _state: None, find_package(XenConfig()))
    scratch = disk.with_name("making")
    scratch.mkdir()
    run(["dd", f"if={image.disk}", f"of={disk}", "bs=1M", "seek=1", "conv=sparse"])
    os.truncate(disk, _START + image.disk.stat().st_size)
    _write_system(disk, scratch)
    _write_grub(disk, scratch)
    return image


def _unpack() -> list[Path]:
    """GRUB's packages, and what they need that the image does not have."""
    wanted = list(_PACKAGES)
    for name in _PACKAGES[:1]:
        wanted += [n for n in debian.find_dependencies(name) if n not in ("libc6", *wanted)]
    wanted += ["dmsetup", "libpng16-16", "libbrotli1"]
    return [debian.unpack(debian.download(name)) for name in dict.fromkeys(wanted)]


def _find(roots: list[Path], name: str) -> Path:
    return next(root / name for root in roots if (root / name).exists())


def _write_system(disk: Path, scratch: Path) -> None:
    """Into the partition, by debugfs; one call for all."""
    lines: list[str] = []
    roots = _unpack()
    for root in roots:
        lines += _copy(root)
    modules = _find(roots, "usr/lib/grub/i386-pc")
    lines += ["mkdir /boot/grub", "mkdir /boot/grub/i386-pc"]
    for file in sorted(modules.iterdir()):
        if file.suffix in (".mod", ".lst"):
            lines.append(f"write {file} /boot/grub/i386-pc/{file.name}")
    env = scratch / "grubenv"
    env.write_text("# GRUB Environment Block\n".ljust(1024, "#"))
    shown = _debugfs(disk, ["ls -p /boot"])
    kernel, xen = _name(shown, "vmlinuz-"), _name(shown, "xen-", ".gz")
    files = {
        "/boot/grub/grubenv": env.read_text(),
        "/boot/grub/grub.cfg": _GRUB_CFG % {"kernel": kernel, "xen": xen},
        "/etc/inittab": _INITTAB,
        "/etc/default/grub": _DEFAULTS,
        "/etc/fstab": "/dev/sda1 / ext4 noatime 0 1\n",
    }
    for number, (name, text) in enumerate(files.items()):
        local = scratch / str(number)
        local.write_text(text)
        lines += [f"rm {name}", f"write {local} {name}"]
    _debugfs(disk, lines)


def _name(shown: str, start: str, end: str = "") -> str:
    names = [line.split("/")[5] for line in shown.splitlines() if line.count("/") > 5]
    found = next(name for name in names if name.startswith(start) and name.endswith(end))
    return found.removeprefix(start).removesuffix(end)


def _copy(root: Path) -> Iterator[str]:
    """Directories, files and links of a package, where /lib and its like are below /usr."""
    for path in sorted(root.rglob("*")):
        inside = "/" + str(path.relative_to(root))
        if inside.startswith(("/usr/share/doc", "/usr/share/man", "/usr/share/locale")):
            continue
        if inside.split("/")[1] in ("bin", "sbin", "lib"):
            inside = "/usr" + inside
        if path.is_symlink():
            yield f"symlink {inside} {path.readlink()}"
        elif path.is_dir():
            yield f"mkdir {inside}"
        else:
            yield f"write {path} {inside}"


def _debugfs(disk: Path, lines: list[str]) -> str:
    script = disk.with_name("debugfs.txt")
    script.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["/usr/sbin/debugfs", "-w", "-f", script, f"{disk}?offset={_START}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with contextlib.suppress(OSError):
        (disk.with_name("debugfs.log")).write_text(done.stderr)
    return done.stdout


def _write_grub(disk: Path, scratch: Path) -> None:
    """GRUB's first sector, the partition table in it, and its core behind it."""
    roots = _unpack()
    folder = _find(roots, "usr/lib/grub/i386-pc")
    core = scratch / "core.img"
    libraries = ":".join(str(found.parent) for root in roots for found in root.rglob("*.so.*"))
    program = _find(roots, "usr/bin/grub-mkimage")
    where = ["-O", "i386-pc", "-d", str(folder), "-p", "(hd0,msdos1)/boot/grub"]
    run([program, "-o", core, *where, *_CORE], env={"LD_LIBRARY_PATH": libraries})
    sectors = (disk.stat().st_size - _START) // _SECTOR
    entry = bytes([0x80, 0, 2, 0, _LINUX, 0, 0, 0])
    entry += (_START // _SECTOR).to_bytes(4, "little") + sectors.to_bytes(4, "little")
    boot = bytearray((folder / "boot.img").read_bytes())
    boot[446:462], boot[462:510], boot[510:] = entry, bytes(48), b"\x55\xaa"
    with disk.open("r+b") as out:
        out.write(boot)
        out.write(core.read_bytes())
