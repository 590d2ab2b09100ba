# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab under real KVM, on a machine without it: in an emulated one (tests/helpers/nest.py).

What is tested is the way to KVM and back: the proof, the choice, the command lines, the verdicts.
Rates in there are no evidence (docs/kvm.md). An L1 that hung or died is a try that does not count;
a guest that came to its end with a wrong verdict is a failure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import cells
from lab.config.load import load
from lab.qemu import choice
from lab.supplies.gather import gather
from tests.helpers import nest
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots
TRIES = 3
LIMITS = nest.Limits(cpu=300, silence=90)  # it takes some 160 to 190 s of a processor
EXITS = 5000  # of one guest, at least; 17,000 to 107,000 were seen
# Seconds may become four times as many until there are so many windows (first FPU uses).
CELLS = [
    {"id": "native-control-bad", "under": "real", "seconds": 3, "windows": 20, "stop": 0},
    {"id": "dom0-control-bad", "under": "real", "seconds": 12, "windows": 100, "stop": 5},
    {"id": "dom0-control-fixed", "under": "one refused", "seconds": 3, "windows": 20, "stop": 0},
]
MODELS = {"real": "host", "one refused": "host,-arch-capabilities"}
Report = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What the job said in an L1 that came to its end, at the first, second or third try."""
    job = describe_job()
    parts = nest.build(Path(job["qemu"]))
    words = nest.python("-m", "tests.helpers.insidenest", "/run/job")
    lost = []
    for _ in range(TRIES):
        folder = tmp_path_factory.mktemp("nest")
        (folder / "job.json").write_text(json.dumps(job))
        ended = nest.run_job(parts, folder, words, LIMITS)
        if ended.status:
            pytest.fail(f"the job failed ({folder}): {(folder / 'output').read_text()}")
        found = read(folder)
        excuses = [facts["uncounted"] for facts in found.values() if facts.get("uncounted")]
        if ended.lost or excuses:
            lost.append(ended.lost or excuses[0])
            continue
        return found
    pytest.skip(f"{TRIES} emulated machines, and none to count: {'; '.join(lost)}")


def read(folder: Path) -> Report:
    file = folder / "report"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {line.pop("step"): line for line in lines}


def describe_job() -> dict[str, Any]:
    """All paths that the job needs: in an L1 they are the same."""
    config = load(PROJECT / "lab.yaml")
    host = config.host.model_copy(update={"accelerator": "tcg"})
    config = config.model_copy(update={"host": host})
    wanted = [cell for cell in cells(config) if cell.id in {one["id"] for one in CELLS}]
    qemu = choice.choose("tcg")
    if not qemu.complete:
        pytest.skip(f"QEMU {qemu.version} cannot emulate what KVM needs: {qemu.why}")
    supplies = gather(config, wanted, lambda *_words: None, [])
    assert supplies.xen is not None
    return {
        "qemu": str(qemu.path),
        "tcg": [str(path) for path in nest.find_tcg(qemu.path)],
        "xen": str(supplies.xen.image),
        "program": str(supplies.program),
        "ramdisk": str(supplies.ramdisk),
        "kernels": {
            name: (str(found.kernel.image), found.image.version)
            for name, found in supplies.kernels.items()
        },
        "cells": CELLS,
    }


def option(command: Sequence[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_what_ran_was_kvm_and_nothing_else_could_have(report: Report) -> None:
    assert "fatal" in report["qemu"]["tcg"], "QEMU can emulate in there"
    booted = [*MODELS, *(str(cell["id"]) for cell in CELLS)]
    exits = {step: report[step]["exits"] for step in booted}
    assert min(exits.values()) > EXITS, exits


def test_kvm_is_chosen_because_xen_was_seen_to_boot_under_it(report: Report) -> None:
    chosen = report["real"]
    assert (chosen["name"], chosen["cpu"], chosen["nests"]) == ("kvm", "host", True)
    assert chosen["why"] == "Xen was seen to boot under it, with nested SVM"


def test_a_register_that_kvm_refuses_costs_the_feature_and_not_kvm(report: Report) -> None:
    chosen = report["one refused"]
    assert (chosen["name"], chosen["without"]) == ("kvm", ["arch-capabilities"])
    assert chosen["why"].endswith(", and without arch-capabilities, which it offers and refuses")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (
            "no module",
            "no kernel module stands behind /dev/kvm (kvm_intel or kvm_amd is not loaded)",
        ),
        ("not KVM", "/dev/kvm is not KVM's device"),
        (
            "all refused",
            "Xen does not boot under this KVM: qemu: error: failed to set MSR 0x10a to 0x69, "
            "before its first line",
        ),
    ],
)
def test_a_kvm_that_does_not_work_says_why_and_costs_nothing(
    report: Report, step: str, why: str
) -> None:
    assert (report[step]["name"], report[step]["why"]) == ("tcg", why)
    assert report[step]["exits"] == 0


def test_who_asked_for_kvm_hears_why_not(report: Report) -> None:
    said = report["not KVM, wanted"]["says"]
    assert said == (
        "host.accelerator is kvm, but /dev/kvm is not KVM's device; auto or tcg would work"
    )


@pytest.mark.parametrize(
    ("cell", "verdict"),
    [
        ("native-control-bad", "CLEAN"),
        ("dom0-control-bad", "CORRUPTS"),
        ("dom0-control-fixed", "CLEAN"),
    ],
)
def test_verdicts(report: Report, cell: str, verdict: str) -> None:
    assert report[cell]["verdict"] == verdict, report[cell]["reason"]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: str(cell["id"]))
def test_boots_have_the_processor_of_the_proof(report: Report, cell: dict[str, Any]) -> None:
    command = report[cell["id"]]["command"]
    assert option(command, "-accel") == "kvm"
    assert option(command, "-cpu") == MODELS[cell["under"]]
