# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine's own GRUB, which boots the lab's entry once: its text (pure), and what is done by ssh.

/boot/grub/custom.cfg    reads lab.cfg; that is all that is written into a file of the machine's
/boot/grub/lab.cfg       the entry of one boot
/boot/grub/grubenv       next_entry names it; GRUB clears that before it boots
/boot/lab                kernels, ramdisks, hypervisors by the hash of their content
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.host.shell import Shell
from lab.system.answers import cached_sha256

ENTRIES = "lab.cfg"
BEGIN, END = "# xen-fpu-lab: begin", "# xen-fpu-lab: end"
# In custom.cfg, which grub.cfg reads at its end (Debian's 41_custom, Fedora's too).
SOURCE = f"{BEGIN}\nif [ -f $prefix/{ENTRIES} ]; then\n  source $prefix/{ENTRIES}\nfi\n{END}\n"
# What GRUB's script language would read as its own ($, ;, braces, quotes) is not among these.
_WORDS = re.compile(r"[A-Za-z0-9_.,:=/+@ -]*")
# GRUB writes only into blocks that it finds on the disk itself.
_UNWRITABLE = ("btrfs", "zfs", "squash4", "iso9660")
_PROBE = """
set -u
folder=$1
d=/boot/grub; test -d $d || d=/boot/grub2
e=$(command -v grub-editenv || command -v grub2-editenv)
p=$(command -v grub-probe || command -v grub2-probe)
m=$(command -v grub-mkrelpath || command -v grub2-mkrelpath)
mkdir -p "$folder"
k=$(uname -r)
i=/boot/initrd.img-$k; test -f $i || i=/boot/initramfs-$k.img
echo "grub=$d"
echo "editenv=$e"
echo "reads=$(grep -c '^# xen-fpu-lab: begin' $d/custom.cfg 2>/dev/null)"
echo "abstraction=$($p --target=abstraction $d)"
echo "fs=$($p --target=fs $d)"
echo "folder=$($m "$folder")"
echo "kernel=$($m /boot/vmlinuz-$k)"
echo "ramdisk=$($m $i)"
echo "args=$(cat /proc/cmdline)"
$e $d/grubenv list | grep -E '^(next_entry|lab_check)=' || true
"""


@dataclass(frozen=True)
class Loaded:
    """Files as GRUB names them, and their words. ``xen`` given: the kernel is dom0 on it."""

    kernel: str
    ramdisk: str
    args: str
    xen: str = ""
    xen_args: str = ""


@dataclass(frozen=True)
class Grub:
    """What the running system says of its GRUB."""

    folder: str  # GRUB's own
    editenv: str
    files: str  # the lab's folder, as GRUB names it
    own: Loaded  # the running system, without Xen
    next_entry: str = ""
    lab_check: str = ""


def entry_id(token: str) -> str:
    """The entry's name. ``token`` is not the nonce: GRUB prints it."""
    return f"lab-{token}"


def write_boot(token: str, loaded: Loaded, own: Loaded) -> str:
    """The entry of one boot. Whatever cannot be loaded ends in the machine's own system."""
    return _entry(token, _guard(token, own) + _load(loaded) + ["reboot"])


def write_check(token: str, own: Loaded) -> str:
    """An entry that writes into grubenv and reboots."""
    note = [f"set lab_check={token}", "save_env lab_check", "reboot"]
    return _entry(token, _guard(token, own) + note)


def _entry(token: str, lines: list[str]) -> str:
    body = "".join(f"  {line}\n" for line in lines)
    return f"menuentry 'xen-fpu-lab {token}' --id {entry_id(token)} {{\n{body}}}\n"


def _guard(token: str, own: Loaded) -> list[str]:
    """A next_entry that was not cleared would boot the same for ever: then its own system."""
    rescue = ["  " + line for line in _load(own)]
    test = f'if [ "${{next_entry}}" = "{entry_id(token)}" ]; then'
    return ["load_env next_entry", test, *rescue, "fi"]


def _load(loaded: Loaded) -> list[str]:
    """Load and boot; what cannot be loaded is passed over."""
    for words in (loaded.args, loaded.xen_args):
        if not _WORDS.fullmatch(words):
            raise LabError(f"boot arguments that GRUB would not take as they are: {words!r}")
    if loaded.xen:
        loads = [
            f"multiboot2 {loaded.xen} placeholder {loaded.xen_args}",
            f"module2 {loaded.kernel} placeholder {loaded.args}",
            f"module2 --nounzip {loaded.ramdisk}",
        ]
    else:
        loads = [f"linux {loaded.kernel} {loaded.args}", f"initrd {loaded.ramdisk}"]
    lines = ["insmod gzio", f"search --no-floppy --file --set=root {loaded.kernel}"]
    depth = ""
    for load in loads:
        lines.append(f"{depth}if {load.rstrip()}; then")
        depth += "  "
    lines.append(f"{depth}boot")
    for _ in loads:
        depth = depth[2:]
        lines.append(f"{depth}fi")
    return lines


def read_grub(shell: Shell, folder: Path, name: str) -> Grub:
    """What is there; LabError, a sentence, where it cannot boot once. ``name``: of the machine."""
    said = _probe(shell, folder)
    if not said["editenv"]:
        raise LabError(f"{name}: it has no grub-editenv: does GRUB boot it?")
    if said["abstraction"] or said["fs"] in _UNWRITABLE:
        where = said["abstraction"] or said["fs"]
        raise LabError(
            f"{name}: GRUB cannot clear next_entry, for {said['grub']}/grubenv is on {where}: "
            "put /boot on a plain partition with ext4, or boot it by network"
        )
    return Grub(
        said["grub"], said["editenv"], said["folder"],
        Loaded(said["kernel"], said["ramdisk"], own_args(said["args"])),
        said.get("next_entry", ""), said.get("lab_check", ""),
    )  # fmt: skip


def reads_entries(shell: Shell, folder: Path) -> bool:
    """Whether GRUB reads the lab's entries (``SOURCE`` is in custom.cfg)."""
    return _probe(shell, folder)["reads"] not in ("", "0")


def _probe(shell: Shell, folder: Path) -> dict[str, str]:
    said = shell.run(["sh", "-c", _PROBE, "sh", str(folder)], timeout=120)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def own_args(cmdline: str) -> str:
    """The words of a running kernel without those that its loader put in front."""
    words = cmdline.split()
    return " ".join(w for w in words if w != "placeholder" and not w.startswith("BOOT_IMAGE="))


def put_file(shell: Shell, local: Path, folder: Path, grub: Grub) -> str:
    """Copy a file once, under the hash of its content; its name for GRUB."""
    name = cached_sha256(local)[:16]
    if shell.attempt(["test", "-f", f"{folder}/{name}"])[0] != 0:
        shell.put(local, f"{folder}/{name}")
    return f"{grub.files}/{name}"


def boot_once(shell: Shell, grub: Grub, token: str, text: str, name: str) -> None:
    """Have GRUB boot the entry once, and reboot. LabError when grubenv does not take it."""
    shell.write(text, f"{grub.folder}/{ENTRIES}")
    env = f"{grub.folder}/grubenv"
    wanted = f"next_entry={entry_id(token)}"
    said = shell.run(["sh", "-c", f"{grub.editenv} {env} set {wanted}; {grub.editenv} {env} list"])
    if wanted not in said.splitlines():
        raise LabError(f"{name}: {env} cannot be written: {shlex.quote(said.strip()[-100:])}")
    reboot(shell)


def forget(shell: Shell, grub: Grub) -> None:
    """Take back what would be booted next, from the running system."""
    shell.run([grub.editenv, f"{grub.folder}/grubenv", "unset", "next_entry"])


def reboot(shell: Shell) -> None:
    """By the system itself: its file systems are whole afterwards."""
    shell.run(["sh", "-c", "sync; (sleep 0.3; reboot) >/dev/null 2>&1 </dev/null &"])
    shell.close()
