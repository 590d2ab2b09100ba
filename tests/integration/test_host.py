"""The nested Xen host by itself: start, reuse, refusal of a wrong key, panic, stop."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import load
from lab.deadline import Deadline
from lab.domimage import Dom0Image
from lab.errors import LabError
from lab.files import PROJECT
from lab.host import READY_SECONDS, HostPlan, NestedHost, strays
from lab.shell import Shell
from lab.supplies import Supplies, gather_host
from lab.xenhost import nested_host
from tests.integration.test_lab import lab, outcomes, run_folder

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def supplies() -> Supplies:
    return gather_host(load(PROJECT / "lab.yaml"), lambda what, state: print(what, state))


@pytest.fixture(scope="module")
def running(supplies: Supplies) -> Iterator[NestedHost]:
    """A host started by one process, left to others."""
    done = lab("host", "start")
    assert done.returncode == 0, done.stdout + done.stderr
    yield nested_host(load(PROJECT / "lab.yaml"), supplies)
    assert lab("host", "stop").returncode == 0


@pytest.mark.usefixtures("running")
def test_a_run_takes_over_the_running_host_and_leaves_it() -> None:
    assert lab("host", "status").returncode == 0
    done = lab("run", "pv-control-bad")
    folder = run_folder(done.stdout)
    assert done.returncode == 0, done.stdout
    assert outcomes(folder)["pv-control-bad"]["verdict"] == "CORRUPTS"
    assert "Xen host taken over" in json.loads((folder / "timings.json").read_text())
    assert lab("host", "status").returncode == 0


def test_another_host_key_is_refused(running: NestedHost, tmp_path: Path) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    running.start(Deadline(READY_SECONDS), print)
    try:
        assert running.reused
        assert running.shell is not None
        wrong = replace(running.shell.address, host_key=key.with_suffix(".pub").read_text())
        with pytest.raises(LabError, match="another host key"):
            Shell(wrong).run(["true"])
        with pytest.raises(LabError, match=r"failed \(3\)"):
            running.shell.run(["sh", "-c", "echo no >&2; exit 3"])
        with pytest.raises(LabError, match="another lab is using"):
            NestedHost(running.plan).start(Deadline(10), print)
    finally:
        running.release()


def test_a_dom0_that_panics_is_told_at_once(supplies: Supplies, tmp_path: Path) -> None:
    assert supplies.image is not None
    image = tmp_path / "image"
    image.mkdir()
    for name in ("disk.img", "vmlinuz", "xen"):
        (image / name).symlink_to(supplies.image.folder / name)
    (image / "initrd.img").write_bytes(b"no ramdisk at all")
    plan = HostPlan(
        str(supplies.qemu.path), supplies.accel.name, 2048, 1,
        Dom0Image(image, supplies.image.keys),
    )  # fmt: skip
    host = NestedHost(plan, tmp_path / "host")
    deadline = Deadline(READY_SECONDS)
    try:
        with pytest.raises(LabError, match="panicked"):
            host.start(deadline, print)
        assert not deadline.expired
    finally:
        host.stop()
    assert strays(host.name) == []
