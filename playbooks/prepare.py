# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare a Xen host that the lab did not build: what it lacks is installed or named."""

from __future__ import annotations

import shlex

from fabric import Connection, task

from lab.errors import LabError
from lab.host.guest import FOLDER
from lab.host.shell import Shell

PACKAGES = ("xen-system-amd64", "xen-utils-common", "qemu-system-xen")


def find_missing(shell: Shell) -> list[str]:
    """What a host lacks for its first guest, as sentences; empty when it is ready."""
    problems = []
    code, out, _ = shell.attempt(["sh", "-c", "cat /sys/hypervisor/type 2>/dev/null"])
    if code != 0 or out.strip() != "xen":
        problems.append("it does not run under Xen: install Xen and boot into it")
    code, _, _ = shell.attempt(["sh", "-c", "command -v xl"])
    if code != 0:
        problems.append(f"it has no xl: install {' '.join(PACKAGES)}")
    elif shell.attempt(["xl", "info"])[0] != 0:
        problems.append("xl does not answer: is this dom0, and may this user run it?")
    return problems


def make_ready(shell: Shell) -> None:
    """Make the lab's folder on the host; LabError with everything that it lacks."""
    problems = find_missing(shell)
    if problems:
        raise LabError(f"the host {shell.address.host} is not ready: {'; '.join(problems)}")
    shell.run(["mkdir", "-p", FOLDER])


@task  # type: ignore[untyped-decorator]
def install(connection: Connection) -> None:
    """`fab -r playbooks -H HOST install`: Xen and its tools on a Debian host; then reboot it."""
    words = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    connection.run(shlex.join(words), env={"DEBIAN_FRONTEND": "noninteractive"}, in_stream=False)
