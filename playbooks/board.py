# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare a machine whose GRUB and Xen the lab will use, and take that back.

What is there is left as it is; what is added stands between two marks or in a file of its own, so
that `restore` can take all of it back. Doing it twice changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from fabric import Connection, task

from lab.errors import LabError
from lab.host import grub
from lab.host.grub import BEGIN, END, SOURCE
from lab.host.shell import Shell
from lab.system.deadline import Deadline
from playbooks.prepare import PACKAGES

LAB_FOLDER = Path("/boot/lab")
DEFAULTS = "/etc/default/grub.d/zz-xen-fpu-lab.cfg"
_REBOOT_SECONDS = 1200.0  # a server's firmware takes minutes
_CUT = f"/^{BEGIN}$/,/^{END}$/d"
Say = Callable[[str], None]


def write_defaults(serial: str, speed: int, default: str) -> str:
    """The file for update-grub: Xen by default, GRUB, Xen and dom0 on the serial port.

    Xen's entry gets GRUB_CMDLINE_LINUX too, with its console; dom0's console is Xen's own, hvc0.
    """
    unit = {"com1": 0, "com2": 1}[serial]
    return f"""# Written by the Xen FPU lab (fab prepare-board); fab restore removes it.
GRUB_DEFAULT="{default}"
GRUB_TIMEOUT_STYLE=menu
GRUB_TIMEOUT=2
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit={unit} --speed={speed}"
GRUB_CMDLINE_LINUX_XEN_REPLACE="$GRUB_CMDLINE_LINUX console=hvc0"
GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 console=ttyS{unit},{speed}n8"
GRUB_CMDLINE_XEN="$GRUB_CMDLINE_XEN {serial}={speed},8n1 console={serial}"
XEN_OVERRIDE_GRUB_DEFAULT=0
"""


def prepare(shell: Shell, serial: str, speed: int, say: Say, reboot: bool = True) -> None:
    """Xen, GRUB's entries, the serial console; then the proof that GRUB boots an entry once.

    LabError, a sentence, where the machine cannot be prepared. ``reboot``: whether it may be.
    """
    install_xen(shell, say)
    shell.run(["mkdir", "-p", str(LAB_FOLDER), str(PurePosixPath(DEFAULTS).parent)])
    found = grub.read_grub(shell, LAB_FOLDER, "it")
    custom = f"{found.folder}/custom.cfg"
    if not grub.reads_entries(shell, LAB_FOLDER):
        say(f"{custom} reads the lab's entries from now on")
        old = shell.run(["sh", "-c", f"cat {custom} 2>/dev/null || true"])
        shell.write(old + SOURCE, custom)
    uuid = shell.run(["grub-probe", "--target=fs_uuid", "/"]).strip()
    wanted = write_defaults(serial, speed, f"xen-gnulinux-simple-{uuid}")
    if shell.attempt(["cat", DEFAULTS])[1] != wanted:
        say(f"{DEFAULTS}: Xen by default, everything on {serial}")
        shell.write(wanted, DEFAULTS)
        shell.run(["update-grub"], timeout=600)
    written = shell.run(["cat", f"{found.folder}/grub.cfg"])
    if f"xen-gnulinux-simple-{uuid}" not in written:
        raise LabError("update-grub made no entry for Xen: is xen-hypervisor in /boot?")
    if reboot:
        check_once(shell, say)


def install_xen(shell: Shell, say: Say) -> None:
    """Debian's packages, unless Xen and its tools are there."""
    test = "command -v xl && command -v update-grub && ls /boot/xen*.gz"
    if shell.attempt(["sh", "-c", test])[0] == 0:
        return
    say("installing Xen")
    words = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
    shell.run(["sh", "-c", f"{words} {' '.join(PACKAGES)}"], timeout=1800)


def check_once(shell: Shell, say: Say) -> None:
    """Have GRUB boot an entry that writes into grubenv and reboots; LabError when it does not."""
    found = grub.read_grub(shell, LAB_FOLDER, "it")
    token = secrets.token_hex(6)
    say("rebooting, to see that GRUB boots an entry once and comes back")
    grub.boot_once(shell, found, token, grub.write_check(token, found.own), "it")
    wait_for_reboot(shell)
    after = grub.read_grub(shell, LAB_FOLDER, "it")
    env = f"{after.folder}/grubenv"
    if after.next_entry:
        grub.forget(shell, after)
        raise LabError(f"GRUB cannot clear next_entry in {env}: boot this board by network")
    if after.lab_check != token:
        raise LabError(
            f"GRUB did not boot the lab's entry: does {after.folder}/grub.cfg read custom.cfg, "
            f"and can GRUB write {env}?"
        )
    shell.run([after.editenv, env, "unset", "lab_check"])
    say("GRUB booted the lab's entry once, cleared next_entry, and came back")


def wait_for_reboot(shell: Shell) -> None:
    """Until the machine that is rebooting answers again."""
    before = _boot_id(shell)
    deadline = Deadline(_REBOOT_SECONDS)
    while _boot_id(shell) in ("", before):
        if deadline.expired:
            raise LabError(f"it did not come back within {deadline.seconds:.0f} s of its reboot")
        deadline.pause(2.0)


def _boot_id(shell: Shell) -> str:
    """New for each boot; empty while the machine does not answer."""
    try:
        return shell.run(["cat", "/proc/sys/kernel/random/boot_id"], timeout=15).strip()
    except LabError:
        return ""


def take_back(shell: Shell, say: Say) -> None:
    """Remove all that ``prepare`` and the lab's boots have added, but for packages."""
    shell.run(["mkdir", "-p", str(LAB_FOLDER)])
    found = grub.read_grub(shell, LAB_FOLDER, "it")
    custom = f"{found.folder}/custom.cfg"
    env = f"{found.editenv} {found.folder}/grubenv"
    for command in (
        f"test ! -f {custom} || sed -i '{_CUT}' {custom}",
        f"test -s {custom} || rm -f {custom}",
        f"{env} unset next_entry; {env} unset lab_check",
        f"rm -rf {found.folder}/{grub.ENTRIES} {DEFAULTS} {LAB_FOLDER}",
    ):
        shell.run(["sh", "-c", command])
    shell.run(["update-grub"], timeout=600)
    say("GRUB is as it was; installed packages stay")


@task(name="prepare-board")  # type: ignore[untyped-decorator]
def prepare_board(
    connection: Connection, serial: str = "com1", speed: int = 115200, reboot: bool = True
) -> None:
    """`fab -r playbooks -H root@HOST prepare-board`: Xen, GRUB, serial console, and the proof."""
    prepare(Shell.over(connection), serial, int(speed), print, reboot)


@task  # type: ignore[untyped-decorator]
def restore(connection: Connection) -> None:
    """`fab -r playbooks -H root@HOST restore`: take back what prepare-board did."""
    take_back(Shell.over(connection), print)
