# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs in an L1 (tests/helpers/nest.py): the lab's own code under real KVM.

``python -m tests.helpers.insidenest FOLDER`` reads FOLDER/job.json and writes a line of JSON to
FOLDER/report for each step as soon as it is done. It is root in a machine that is thrown away.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.config.cells import cells
from lab.config.load import load
from lab.console import records
from lab.console.watch import Ending
from lab.errors import UserError
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu import accelerator, binary
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board
from lab.supplies.gather import Supplies
from lab.trial.assignment import gather_facts, make_assignment
from lab.trial.job import Job
from lab.trial.machine import OwnMachine
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from lab.verdict.trial import judge
from lab.xen.hypervisor import Xen
from tests.helpers.project import PROJECT

KVM = Path("/dev/kvm")
_EXITS = Path("/sys/kernel/debug/kvm/exits")  # of all guests that live


class Nested:
    """The steps of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job: dict[str, Any] = json.loads((folder / "job.json").read_text())
        self.xen = Xen(Path(self.job["xen"]), "xen", "")
        # Where Xen lies is known: in here apt would take a minute to answer.
        accelerator.xen_images.resolve = lambda _config: self.xen  # type: ignore[attr-defined]

    def run(self) -> None:
        qemu = self.qemu()
        self.device_without_kvm(qemu)
        self.file_that_is_not_kvm(qemu)
        self.decide("all refused", self.refusing(qemu, "*"))
        found = {"real": qemu, "one refused": self.refusing(qemu, "*' -cpu host '*")}
        for step, one in found.items():
            accel = self.decide(step, one)
            for cell in self.job["cells"] if accel.name == "kvm" else []:
                if cell["under"] == step:
                    self.boot(one, accel, cell)

    def qemu(self) -> Qemu:
        """QEMU, without its TCG: nothing that boots in here can have been emulated by it."""
        qemu = binary.inspect(Path(self.job["qemu"]), "machine")
        spare = self._file("empty")
        for module in self.job["tcg"]:
            subprocess.run(["mount", "--bind", spare, module], check=True)
        words = [str(qemu.path), "-accel", "tcg", "-machine", "none", "-display", "none"]
        try:
            tried = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)
            said = tried.stderr.strip()
        except subprocess.TimeoutExpired:
            said = "it works"
        self.report("qemu", tcg=said)
        return qemu

    def device_without_kvm(self, qemu: Qemu) -> None:
        """The device's node is there, and no module stands behind it."""
        if not KVM.exists():
            subprocess.run(["mknod", KVM, "c", "10", "232"], check=True)
        self.decide("no module", qemu)
        for module in sorted((self.folder / "modules").iterdir()):
            subprocess.run(["insmod", module], check=True)

    def file_that_is_not_kvm(self, qemu: Qemu) -> None:
        """It can be opened, for reading and writing, and that is all."""
        subprocess.run(["mount", "--bind", self._file("kvm"), KVM], check=True)
        self.decide("not KVM", qemu)
        try:
            accelerator.decide(qemu, "kvm")
        except UserError as error:
            self.report("not KVM, wanted", says=str(error))
        subprocess.run(["umount", KVM], check=True)

    def refusing(self, qemu: Qemu, words: str) -> Qemu:
        """QEMU where KVM refuses a register to command lines of that shell pattern."""
        script = Path("/run") / f"qemu-{len(words)}"
        script.write_text(
            f"""#!/bin/sh
case " $* " in
*' -accel kvm '*) case " $* " in
    {words}) echo "qemu: error: failed to set MSR 0x10a to 0x69" >&2; exit 134 ;;
    esac ;;
esac
exec {qemu.path} "$@"
"""
        )
        script.chmod(0o755)
        return binary.inspect(script, "machine")

    def decide(self, step: str, qemu: Qemu) -> Accel:
        began = time.monotonic()
        with counting_exits() as exits:
            accel = accelerator.decide(qemu, fresh=True)
        self.report(
            step, **asdict(accel), cpu=accel.cpu, exits=max(exits),
            seconds=round(time.monotonic() - began, 1),
            uncounted=accel.why if "silent for" in accel.why else "",
        )  # fmt: skip
        return accel

    def boot(self, qemu: Qemu, accel: Accel, wanted: dict[str, Any]) -> None:
        """One boot of a cell, judged as a run judges it, by less exposure: this KVM is slow."""
        config = load(PROJECT / "lab.yaml")
        windows = wanted["windows"]
        least = {"min_windows": windows, "min_checks": windows, "seconds": wanted["seconds"]}
        stress = config.stress.model_copy(update=least)
        config = config.model_copy(update={"stress": stress})
        (cell,) = [cell for cell in cells(config) if cell.id == wanted["id"]]
        facts = gather_facts(cell, 1, config)
        nothing: Any = None
        supplies = self.supplies(qemu, accel)
        job = Job(config, supplies, nothing, nothing, nothing)
        task = make_assignment(job, cell, facts, Asked(0, wanted["stop"]))
        place, console = OwnMachine(supplies), Path("/run/tmp") / f"{cell.id}.log"
        with counting_exits() as exits:
            ending = place.boot(task, console, Board(), threading.Event())
        content = console.read_bytes()
        (self.folder / console.name).write_bytes(content)
        verdict = judge(facts, content, ending)
        self.report(
            cell.id, verdict=verdict.verdict.value, reason=verdict.reason, how=ending.how,
            detail=ending.detail, windows=verdict.windows, hits=verdict.hits, exits=max(exits),
            boot_seconds=ending.boot_seconds, seconds=ending.seconds,
            command=place.describe(task, console)["qemu"],
            uncounted=find_excuse(content, ending, verdict, windows),
        )  # fmt: skip

    def supplies(self, qemu: Qemu, accel: Accel) -> Supplies:
        kernels = {
            name: Bootable(Kernel(name, Path(path)), BzImage(version, True, True, 64))
            for name, (path, version) in self.job["kernels"].items()
        }
        program, ramdisk = Path(self.job["program"]), Path(self.job["ramdisk"])
        return Supplies(qemu, accel, program, ramdisk, kernels, self.xen, None)

    def report(self, step: str, **facts: Any) -> None:
        with (self.folder / "report").open("a") as out:
            out.write(json.dumps({"step": step, **facts}) + "\n")
        print(f"{time.monotonic():.0f} s: {step}", flush=True)

    def _file(self, name: str) -> Path:
        path = Path("/run") / name
        path.touch()
        return path


def find_excuse(content: bytes, ending: Ending, verdict: TrialVerdict, windows: int) -> str:
    """Why a boot says nothing about the lab: this KVM is as flaky as what it runs in."""
    if ending.how in ("deadline", "exited") or ending.detail.startswith("KVM failed"):
        return f"the guest did not come to its end: {ending.detail or ending.how}"
    found = records.parse(content)
    if found.damaged and found.last("start") is None:
        return "a kernel message in its middle damaged the start record"
    if verdict.verdict is not Verdict.CORRUPTS and verdict.windows < windows:
        return f"too slow: {verdict.windows} windows"
    return ""


def show_life(folder: Path) -> None:
    """Touch the file by which the outside sees that this machine lives."""
    while True:
        (folder / "beat").write_text(f"{time.monotonic():.0f}\n")
        time.sleep(3)


@contextmanager
def counting_exits() -> Iterator[list[int]]:
    """The counts of KVM exits while the block runs: they are of guests that still live."""
    found, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.3):
            if _EXITS.exists():
                found.append(int(_EXITS.read_text()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    threading.Thread(target=show_life, args=(place,), daemon=True).start()
    Nested(place).run()
