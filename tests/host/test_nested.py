# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of the nested host against a libvirt that only remembers: which way a start goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import nested, ready, state
from lab.host import saved as savedhost
from lab.host.image import Dom0Image
from lab.host.keys import Keys
from lab.host.nested import NestedHost, Step
from lab.host.plan import HostPlan
from lab.host.ready import Waiting, Watched
from lab.host.state import HostState
from lab.system.deadline import Deadline


class FakeDomains:
    """What libvirt would do; ``log`` has what it was asked for."""

    def __init__(self, *_: object) -> None:
        self.runs = False
        self.log: list[str] = []

    def version(self) -> str:
        return "9000000"

    def active(self, _name: str) -> bool:
        return self.runs

    def create(self, _xml: str) -> None:
        self.runs = True
        self.log.append("create")

    def save(self, _name: str, file: Path) -> None:
        self.runs = False
        file.write_text("memory")
        self.log.append("save")

    def restore(self, file: Path, _xml: str) -> None:
        self.runs = True
        self.log.append(f"restore {file.read_text()}")

    def destroy(self, _name: str) -> None:
        self.log += ["destroy"] if self.runs else []
        self.runs = False

    def close(self) -> None:
        """It stays as it is."""


class FakeShell:
    def __init__(self, _address: object) -> None:
        pass

    def run(self, _argv: list[str], **_: object) -> str:
        return "Name ID\nDomain-0 0\n"

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def domains(monkeypatch: pytest.MonkeyPatch) -> FakeDomains:
    made = FakeDomains()
    monkeypatch.setattr(nested, "Domains", lambda *_: made)
    monkeypatch.setattr(nested, "Shell", FakeShell)
    monkeypatch.setattr(state, "run", lambda argv: Path(argv[-1]).write_text("layer"))
    monkeypatch.setattr(savedhost, "require_space", lambda *_: None)
    monkeypatch.setattr(ready, "renew", lambda _shell, found: found)
    monkeypatch.setattr(ready, "check", lambda *_: {})

    def await_ready(_: Watched, prove: object, _waiting: Waiting, listens: bool = False) -> None:
        assert callable(prove)
        if listens and "broken" in made.log:
            raise LabError("silent")
        prove()

    monkeypatch.setattr(Watched, "await_ready", await_ready)
    return made


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostPlan:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    for name in ("disk.img", "vmlinuz", "initrd.img", "xen", "host.pub"):
        (tmp_path / name).write_text(name)
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho QEMU emulator version 7.2.0\n")
    qemu.chmod(0o755)
    return HostPlan(str(qemu), "tcg", 3072, 2, Dom0Image(tmp_path, Keys(tmp_path)))


def start(plan: HostPlan, folder: Path) -> tuple[NestedHost, list[str]]:
    """A controller of its own: start, and let go as one that is killed would."""
    host, said = NestedHost(plan, folder), list[str]()
    host.start(Deadline(10), said.append)
    host.release()
    return host, said


def test_a_first_start_boots_saves_and_goes_on_from_what_was_saved(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path
) -> None:
    host, _ = start(plan, tmp_path / "host")
    assert list(host.seconds) == [Step.BOOTED, Step.SAVED, Step.RESUMED]
    assert domains.log == ["create", "save", "restore memory"]
    assert not host.taken_over


def test_the_next_one_takes_over_what_runs_and_resumes_what_does_not(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path
) -> None:
    start(plan, tmp_path / "host")
    host, said = start(plan, tmp_path / "host")
    assert (list(host.seconds), said) == ([Step.TAKEN_OVER], ["taking over the running host"])
    assert host.taken_over
    host.stop()
    host, _ = start(plan, tmp_path / "host")
    assert list(host.seconds) == [Step.RESUMED]
    assert domains.log[3:] == ["destroy", "restore memory"]


def test_a_running_host_of_another_plan_or_an_ill_one_is_ended(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = start(plan, tmp_path / "host")
    found.folder.write(HostState("another", "nonce", 1))
    host, _ = start(plan, tmp_path / "host")
    assert "destroy" in domains.log
    assert list(host.seconds) == [Step.RESUMED]

    def ill(*_: object) -> dict[str, str]:
        raise LabError("xl does not answer")

    monkeypatch.setattr(ready, "check", ill)
    host, said = start(plan, tmp_path / "host")
    assert list(host.seconds) == [Step.RESUMED]
    assert said[0] == "taking over the running host"


def test_a_saved_state_that_does_not_come_back_is_removed_and_the_host_booted(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path
) -> None:
    start(plan, tmp_path / "host")[0].stop()
    domains.log = ["broken"]
    host, said = start(plan, tmp_path / "host")
    assert any("does not resume (silent)" in line for line in said)
    assert list(host.seconds) == [Step.BOOTED, Step.SAVED]
    assert domains.runs
    saved = host.find_saved()
    assert saved is not None
    assert (saved.exists(), saved.refused()) == (False, True)
    host.stop()
    host, _ = start(plan, tmp_path / "host")
    assert list(host.seconds) == [Step.BOOTED]  # a refused state is not made again


def test_without_resuming_nothing_is_saved(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path
) -> None:
    host, _ = start(replace(plan, resume=False), tmp_path / "host")
    assert list(host.seconds) == [Step.BOOTED]
    assert domains.log == ["create"]


def test_a_host_that_is_kept_is_known_as_such(
    plan: HostPlan, domains: FakeDomains, tmp_path: Path
) -> None:
    host, _ = start(plan, tmp_path / "host")
    assert domains.runs
    assert not host.kept
    host.keep()
    assert NestedHost(plan, tmp_path / "host").kept
