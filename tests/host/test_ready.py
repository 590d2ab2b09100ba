# SPDX-License-Identifier: GPL-2.0-or-later
"""When a nested host counts as ready, and the signs that it never will."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.host import ready
from lab.host.ready import Waiting, Watched
from lab.host.state import HostState
from lab.system.deadline import Deadline

STATE = HostState("plan", "cafe", 2222, "fresh")
INFO = "host : xen\nxen_commandline : console=com1 lab=cafe loglvl=info\n"


class FakeShell:
    """A dom0 that answers with a text, and keeps what it was asked."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.asked: list[str] = []
        self.address = type("Address", (), {"port": 2222})

    def run(self, argv: Sequence[str], timeout: float = 60) -> str:  # noqa: ARG002
        self.asked.append(argv[-1])
        return self.says


def check(says: str, state: HostState | None = STATE) -> dict[str, str]:
    shell: Any = FakeShell(says)
    return ready.check(shell, state)


def test_the_xen_and_the_dom0_that_were_started() -> None:
    assert check(f"fresh\n{INFO}")["host"] == "xen"


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (f"stale\n{INFO}", STATE),
        (f"fresh\n{INFO.replace('cafe', 'beef')}", STATE),
        (f"fresh\n{INFO.replace('cafe', 'cafes')}", STATE),
        (f"\n{INFO}", HostState("plan", "cafe", 2222)),
        (f"fresh\n{INFO}", None),
    ],
)
def test_any_other_is_refused(says: str, state: HostState | None) -> None:
    with pytest.raises(LabError, match="is not the Xen that we started"):
        check(says, state)


def test_nothing_is_proved_of_a_host_that_is_not_started() -> None:
    with pytest.raises(LabError, match="not started"):
        ready.check(None, STATE)


def test_a_renewed_dom0_has_a_word_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: "new")
    shell: Any = FakeShell(f"new\n{INFO}")
    assert ready.renew(shell, STATE) == HostState("plan", "cafe", 2222, "new")
    assert "date -u -s @" in shell.asked[0]
    assert f"echo new >{ready.NONCE}" in shell.asked[0]


def wait(console: Path, *, alive: bool = True, stopped: bool = False, seconds: float = 0) -> None:
    shell: Any = FakeShell("")

    def prove() -> None:
        raise LabError("no xl")

    Watched(shell, console, lambda: alive).await_ready(
        prove,
        Waiting(Deadline(seconds), lambda _state: None, lambda: stopped),
        listens=True,
    )


def test_what_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "answers", lambda _port: True)
    console = tmp_path / "console.log"
    console.write_text("Xen 4.17\nbooting\n")
    with pytest.raises(LabError, match=r"not ready after 0 s: no xl; .* ends: booting"):
        wait(console)
    with pytest.raises(LabError, match="stopped while booting"):
        wait(console, alive=False, seconds=60)
    with pytest.raises(LabError, match="interrupted"):
        wait(console, stopped=True, seconds=60)
    console.write_text("(XEN) Panic on CPU 0:\n")
    with pytest.raises(LabError, match="the Xen host panicked: "):
        wait(console, seconds=60)
