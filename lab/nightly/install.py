# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab nightly install` and `uninstall`: the timer of systemd that calls the night.

Units are checked by `systemd-analyze verify` and `calendar` where it is there, before anything is
written; systemd is asked to read them where it runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError, UserError
from lab.nightly.unit import NAME, Installation
from lab.system.cache import cache_dir
from lab.system.files import write_atomic
from lab.system.process import find_error
from lab.system.scratch import open_scratch

_SYSTEM = Path("/etc/systemd/system")
Say = Callable[[str], None]


def find_units(user: bool) -> Path:
    """Where units are kept."""
    if not user:
        return _SYSTEM
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "systemd" / "user"


def make_installation(config: Path, results: Path, at: str, user: bool) -> Installation:
    """For this lab, as it was called."""
    return Installation(
        command=_find_command(),
        config=config.absolute(),
        results=results,
        cache=cache_dir(),
        home=Path.home(),
        path=os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        at=at,
        user=user,
    )


def _find_command() -> list[str]:
    """`lab` beside this Python where it is this lab's, else the module."""
    program = Path(sys.executable).with_name("lab")
    return [str(program)] if program.is_file() else [sys.executable, "-m", "lab"]


def install(made: Installation, say: Say) -> None:
    """Check the units, write them, and have systemd start the timer.

    UserError for a time that is not one, LabError where systemd finds a mistake in the units.
    """
    place = find_units(made.user)
    check_time(made.at, say)
    made.results.mkdir(parents=True, exist_ok=True)  # systemd refuses a path that is not there
    units = made.units()
    with open_scratch("units") as scratch:
        for name, text in units.items():
            write_atomic(scratch / name, text)
        check_units([scratch / name for name in units], say)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            write_atomic(place / name, text)
    except OSError as error:
        raise UserError(
            f"{place}: cannot be written to ({error.strerror}); --user installs for you alone"
        ) from None
    say(f"written to {place}: {', '.join(units)}")
    if _ask(made.user, "daemon-reload", say) and _ask(made.user, f"enable --now {NAME}.timer", say):
        say(f"nights begin at {made.at}; see them by: systemctl list-timers {NAME}.timer")
    if made.user:
        say("nights while nobody is logged in need: loginctl enable-linger")


def uninstall(user: bool, say: Say) -> None:
    """Stop the timer and remove the units; the results stay."""
    place = find_units(user)
    names = [f"{NAME}.timer", f"{NAME}.service", f"{NAME}-failed.service"]
    there = [place / name for name in names if (place / name).is_file()]
    if not there:
        say(f"nothing is installed in {place}")
        return
    _ask(user, f"disable --now {NAME}.timer", say)
    try:
        for path in there:
            path.unlink()
    except OSError as error:
        raise UserError(f"{place}: cannot be written to ({error.strerror})") from None
    _ask(user, "daemon-reload", say)
    say(f"removed from {place}: {', '.join(path.name for path in there)}")


def check_time(at: str, say: Say) -> None:
    """UserError when systemd does not understand the time."""
    if "\n" in at or not at.strip():
        raise UserError(f"--at {at!r}: is not a time; '*-*-* 02:00' would be one")
    done = _analyze(["calendar", at])
    if done is None:
        say("systemd-analyze is not here: the time is not checked")
    elif done.returncode != 0:
        raise UserError(
            f"--at {at!r}: systemd does not understand it; '*-*-* 02:00' would be every night"
        )


def check_units(paths: list[Path], say: Say) -> None:
    """LabError with systemd's first complaint about the units.

    A user's are checked as the system's are: --user needs a login session.
    """
    done = _analyze(["verify", "--system", "--man=no", *map(str, paths)])
    if done is None:
        say("systemd-analyze is not here: the units are not checked")
        return
    complaints = done.stdout + done.stderr
    if done.returncode != 0 or any(path.name in complaints for path in paths):
        raise LabError(f"systemd-analyze verify: {find_error(complaints) or complaints.strip()}")


def _analyze(words: list[str]) -> subprocess.CompletedProcess[str] | None:
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def _ask(user: bool, words: str, say: Say) -> bool:
    """Whether systemctl did it; where systemd does not run, what to do later is said."""
    command = ["systemctl", *(["--user"] if user else []), *words.split()]
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        say(f"systemd does not run here; where it does: {' '.join(command)}")
        return False
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {find_error(done.stderr) or done.returncode}")
    return True
