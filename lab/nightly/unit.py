# SPDX-License-Identifier: GPL-2.0-or-later
"""The systemd units that call `lab nightly`, as text: pure.

Hardening stops where QEMU and libvirt need something: QEMU's TCG writes code and runs it, so
MemoryDenyWriteExecute is not set; mmdebstrap makes namespaces and files with setuid bits, so these
are not restricted; locks and sockets are in /tmp, where other labs look for them, so it is not
private; /dev/kvm has to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

NAME = "xen-fpu-lab-night"
FAILED = f"{NAME}-failed"
_DESCRIPTION = "A night of the Xen FPU reproduction lab"
_HARDENING = (
    "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes", "ProtectKernelTunables=yes", "ProtectClock=yes",
    "ProtectHostname=yes", "LockPersonality=yes", "RestrictRealtime=yes",
)  # fmt: skip
_AFTER = "After=network-online.target"
_WRITABLE = ("/tmp", "/var/tmp", "-/var/lib/apt", "-/var/cache/apt", "-/var/log/apt")  # noqa: S108
# A user's own manager can set these without privileges; the others need namespaces.
_HARDENING_OF_USERS = ("NoNewPrivileges=yes", "LockPersonality=yes", "RestrictRealtime=yes")


@dataclass(frozen=True)
class Installation:
    """What the units need to know. ``command``: how this lab is called, in words."""

    command: Sequence[str]
    config: Path
    results: Path
    cache: Path
    home: Path
    path: str  # $PATH
    at: str  # OnCalendar
    user: bool  # a user's own units

    def units(self) -> dict[str, str]:
        """The files by name."""
        return {
            f"{NAME}.service": self._service(),
            f"{FAILED}.service": self._failure(),
            f"{NAME}.timer": self._timer(),
        }

    def _service(self) -> str:
        return "\n".join(
            [
                "[Unit]",
                f"Description={_DESCRIPTION}",
                f"OnFailure={FAILED}.service",
                # A night that dies again and again is given up.
                "StartLimitIntervalSec=6h",
                "StartLimitBurst=4",
                *([] if self.user else ["Wants=network-online.target", _AFTER]),
                "",
                "[Service]",
                "Type=oneshot",
                f"ExecStart={_join([*self.command, 'nightly', *self._options()])}",
                *self._place(),
                # A night that was killed is continued; one that ended is not repeated.
                "Restart=on-abnormal",
                "RestartSec=30",
                "KillMode=control-group",
                "TimeoutStopSec=60",
                "Nice=5",
                *(_HARDENING_OF_USERS if self.user else [*_HARDENING, *self._writable()]),
                "",
            ]
        )

    def _failure(self) -> str:
        return "\n".join(
            [
                "[Unit]",
                f"Description={_DESCRIPTION}: it was not as it should be",
                "",
                "[Service]",
                "Type=oneshot",
                f"ExecStart={_join([*self.command, 'nightly', 'status', *self._options()])}",
                # Its exit code repeats the night's.
                "SuccessExitStatus=3 4 5 6 7",
                *self._place(),
                "NoNewPrivileges=yes",
                "",
            ]
        )

    def _timer(self) -> str:
        return "\n".join(
            [
                "[Unit]",
                f"Description=When to begin: {_DESCRIPTION}",
                "",
                "[Timer]",
                f"OnCalendar={self.at}",
                "Persistent=true",
                "AccuracySec=1min",
                "",
                "[Install]",
                "WantedBy=timers.target",
                "",
            ]
        )

    def _options(self) -> list[str]:
        return ["--config", str(self.config), "--results", str(self.results)]

    def _place(self) -> list[str]:
        return [
            f"WorkingDirectory={_escape(str(self.config.parent))}",
            *(f"Environment={_quote(word)}" for word in self._variables()),
        ]

    def _variables(self) -> list[str]:
        return [f"HOME={self.home}", f"LAB_CACHE={self.cache}", f"PATH={self.path}"]

    def _writable(self) -> list[str]:
        """Results, caches (ccache's is the user's), and apt's lists for jobs with `newest`."""
        paths = [str(self.results), str(self.cache), f"-{self.home}/.cache", *_WRITABLE]
        return [f"ReadWritePaths={' '.join(map(_quote, paths))}"]


def _join(words: Sequence[str]) -> str:
    return " ".join(_quote(word) for word in words)


def _quote(word: str) -> str:
    """A word of a unit file (systemd.syntax(7)); a percent sign stands for itself."""
    text = _escape(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if not text or any(c in text for c in " \t'\"\\;") else text


def _escape(text: str) -> str:
    if "\n" in text or "\0" in text:
        raise UserError(f"{text!r} cannot stand in a systemd unit: it has a line break")
    return text.replace("%", "%%")
