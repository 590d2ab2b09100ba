# SPDX-License-Identifier: GPL-2.0-or-later
"""Collect evidence from a Xen host: xl, its logs and the packages."""

from __future__ import annotations

from pathlib import Path

from fabric import Connection, task

from lab.errors import LabError
from lab.host.shell import Shell
from lab.system.files import write_atomic

# File name: command. None of them changes anything on the host.
COMMANDS: dict[str, list[str]] = {
    "xl-info.txt": ["xl", "info"],
    "xl-list.txt": ["xl", "list"],
    "xl-dmesg.txt": ["xl", "dmesg"],
    "dom0-dmesg.txt": ["dmesg"],
    "packages.txt": ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", "xen*", "linux-image*"],
    "uname.txt": ["uname", "-a"],
}


def collect(shell: Shell, folder: Path) -> None:
    """Write each command's output to a file of ``folder``; a failure is described in its file."""
    for name, argv in COMMANDS.items():
        try:
            _, out, err = shell.attempt(argv)
            text = out or err
        except LabError as error:
            text = f"not available: {error}\n"
        write_atomic(folder / name, text)


@task  # type: ignore[untyped-decorator]
def evidence(connection: Connection, folder: str = "evidence") -> None:
    """`fab -r playbooks -H HOST evidence`: the same files into a local folder."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    import shlex

    for name, argv in COMMANDS.items():
        done = connection.run(shlex.join(argv), hide=True, warn=True, in_stream=False)
        write_atomic(target / name, done.stdout or done.stderr)
