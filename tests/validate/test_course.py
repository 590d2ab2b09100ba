# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab validate`: the cells of a request, when it has enough, what it prints."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.config.cells import Cell, cells
from lab.config.kernel import KernelConfig
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.kernel import resolve as kernels
from lab.kernel.make import BuildFailed
from lab.validate import command
from lab.validate import course as validate
from lab.validate import page as validatetext
from lab.validate import request as validateplan
from lab.validate.decision import Outcome, decide
from lab.validate.request import Request
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

SEED = Path(__file__).parents[1] / "patches" / "xen-devel-cr0-ts.txt"
CLEAN, VACUOUS, CRASHED = Verdict.CLEAN, Verdict.VACUOUS, Verdict.CRASHED
CORRUPTS, LAB_ERROR = Verdict.CORRUPTS, Verdict.LAB_ERROR
TEXT = "kernels: {other: {control: bad}}\nvariations: {2vcpu: {vcpus: 2}}\n"
CONFIG = parse(TEXT, Path("/somewhere/lab.yaml"))
OLD, NEW = KernelConfig(image=Path("/old")), KernelConfig(image=Path("/new"))


def found(guest: str, kernel: str, verdict: Verdict | None, *trials: Verdict) -> CellVerdict:
    expect = "corrupts" if guest in ("pv", "dom0") and kernel == "unpatched" else None
    cell = Cell(f"{guest}-{kernel}", guest, kernel, expect=expect)  # type: ignore[arg-type]
    boots = tuple(TrialVerdict(one, "so it was", windows=100) for one in trials)
    return CellVerdict(cell, verdict, "so it was", boots, miss=1e-7 if verdict is CLEAN else None)


def both(guest: str, before: Verdict | None, after: Verdict | None) -> list[CellVerdict]:
    """Vacuous ones lack exposure."""
    return [
        found(guest, kernel, verdict, CLEAN if verdict is None or verdict is VACUOUS else verdict)
        for kernel, verdict in (("unpatched", before), ("patched", after))
    ]


def rows(outcomes: list[CellVerdict]) -> list[tuple[str, CellVerdict, CellVerdict]]:
    pairs = zip(outcomes[::2], outcomes[1::2], strict=True)
    return [(before.cell.guest, before, after) for before, after in pairs]


# The plan


def test_both_kernels_in_all_kinds_side_by_side() -> None:
    names = validateplan.names_of(
        Request(images=(Path(), Path()), kinds=("native", "dom0", "pv~2vcpu")), CONFIG
    )
    made = validateplan.of_kernels(CONFIG, names, OLD, NEW)
    assert list(made.kernels) == ["unpatched", "patched"]
    assert [(cell.id, cell.expect) for cell in cells(made)] == [
        ("native-unpatched", None), ("native-patched", None),
        ("dom0-unpatched", "corrupts"), ("dom0-patched", None),
        ("pv-unpatched~2vcpu", "corrupts"), ("pv-patched~2vcpu", None),
    ]  # fmt: skip


def test_a_patch_to_xen_is_tried_under_several_kernels() -> None:
    config = parse("kernels: {a: {control: bad}, b: {control: fixed}}", Path("/lab.yaml"))
    request = Request(xen="xen", patch=SEED, kernels=("b", "a"), kinds=("native", "dom0", "pvh"))
    names = validateplan.names_of(request, config)
    assert [name for name, _, _ in names] == ["dom0-b", "pvh-b", "dom0-a", "pvh-a"]
    plain, patched = XenConfig(source="xen"), XenConfig(source="xen", patches=[SEED])
    made = cells(validateplan.of_xens(config, names, "b", plain, patched))
    assert [(cell.id, cell.xen, cell.expect) for cell in made][:3] == [
        ("dom0-b~unpatched", "unpatched", "corrupts"), ("dom0-b~patched", "patched", None),
        ("pvh-b~unpatched", "unpatched", None),
    ]  # fmt: skip
    assert all(cell.expect is None for cell in made[4:])
    for wrong, words in (
        (replace(request, kernels=("c",)), "--kernel c: should be names under 'kernels:'"),
        (replace(request, kernels=()), "--kernel : should be names"),
        (replace(request, fuzz=1), "one to Xen must fit"),
    ):
        with pytest.raises(UserError, match=words):
            validateplan.names_of(wrong, config)


def test_each_round_is_one_boot_more() -> None:
    config = CONFIG
    for number, boots, control in ((1, 1, 2), (2, 2, 2), (5, 5, 5), (99, 20, 20)):
        made = validate.round_config(config, number)
        assert (made.trials, made.confidence.max_boots) == (boots, boots)
        assert made.confidence.control_boots == control
        assert made.confidence.level == config.confidence.level


# When it ends


@pytest.mark.parametrize(
    ("outcomes", "number", "wanted"),
    [
        ([*both("pv", CORRUPTS, CLEAN)], 1, False),
        ([*both("pv", CORRUPTS, CLEAN)], 3, True),
        ([*both("pv", CORRUPTS, VACUOUS)], 3, False),
        ([*both("pv", CORRUPTS, VACUOUS)], 12, True),
        ([*both("pv", CORRUPTS, CORRUPTS)], 1, True),
        ([*both("pv", CORRUPTS, CRASHED)], 1, True),
        ([*both("pv", CORRUPTS, LAB_ERROR)], 1, False),
        ([*both("pv", CORRUPTS, None)], 3, True),
        # Corrupts with the patch; whether it was clean before is not known yet.
        ([*both("pv", CORRUPTS, CLEAN), *both("native", VACUOUS, CORRUPTS)], 1, False),
        ([*both("pv", CORRUPTS, CLEAN), *both("native", CLEAN, CORRUPTS)], 1, True),
        # Vacuous for another reason than exposure: more boots do not help.
        ([found("pv", "unpatched", CORRUPTS, CORRUPTS), found("pv", "patched", VACUOUS, VACUOUS)],
         3, True),
        # Nothing to fix: the kernel without the patch carries one, or its boots are too few.
        ([found("pv", "unpatched", VACUOUS, VACUOUS), found("pv", "patched", VACUOUS)], 2, False),
        ([found("pv", "unpatched", VACUOUS, VACUOUS), found("pv", "patched", VACUOUS)], 3, True),
        ([*both("pv", VACUOUS, VACUOUS)], 3, False),
    ],
)  # fmt: skip
def test_it_ends_when_another_round_would_show_nothing(
    outcomes: list[CellVerdict], number: int, wanted: bool
) -> None:
    assert validate.enough(rows(outcomes), number, 12) is wanted


# The whole, with an experiment that fails on request


class Experiment:
    """Stands for booting: each round's verdicts by cell, from a function."""

    def __init__(self, verdict: Callable[[Cell, int], Verdict], stop_in: int = 0) -> None:
        self.verdict, self.stop_in, self.rounds = verdict, stop_in, 0

    def __call__(
        self, config: LabConfig, chosen: list[Cell], folder: RunFolder, *_: Any
    ) -> list[CellVerdict]:
        self.rounds += 1
        if self.rounds == self.stop_in:
            raise KeyboardInterrupt
        supplies = {
            "xen": {"package": "xen-hypervisor", "version": "4"}, "qemu": {"version": "7.2"},
            "accelerator": {"name": "tcg"}, "kernels": {"patched": {"version": "3"}},
        }  # fmt: skip
        folder.write("manifest.json", {"format": 1, "supplies": supplies})
        outcomes = []
        for cell in chosen:
            for number in range(len(folder.trials(cell.id)) + 1, config.trials + 1):
                folder.trial(cell.id, number).path.mkdir(parents=True)
            one = replace(
                found(cell.guest, cell.kernel, self.verdict(cell, self.rounds)), cell=cell
            )
            outcomes.append(one)
        return outcomes


def fixes(cell: Cell, _round: int) -> Verdict:
    return CORRUPTS if cell.guest == "dom0" and cell.kernel == "unpatched" else CLEAN


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "old", tmp_path / "new"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a configuration is and results go."""
    (tmp_path / "lab.yaml").write_text(TEXT)
    return tmp_path


def validate_there(place: Path, request: Request) -> int:
    return command.validate(
        CONFIG, place / "lab.yaml", request, place / "results", "lab validate ..."
    )


def run(place: Path, monkeypatch: pytest.MonkeyPatch, work: Experiment, request: Request) -> int:
    monkeypatch.setattr(validate, "run_experiment", work)
    return validate_there(place, request)


def test_a_fix(
    place: Path, monkeypatch: pytest.MonkeyPatch, images: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    work = Experiment(fixes)
    request = Request(images=images, kinds=("dom0", "native"))
    assert run(place, monkeypatch, work, request) == 0
    assert work.rounds == 3
    folder = place / "results" / "latest"
    assert json.loads((folder / "validate.json").read_text())["outcome"] == "FIXES"
    assert (folder / "validate.txt").read_text() in capsys.readouterr().out
    assert not RunFolder(folder).find_changes()
    assert not ET.parse(folder / "junit.xml").findall(".//failure")


def test_a_fix_that_does_not(
    place: Path, monkeypatch: pytest.MonkeyPatch, images: tuple[Path, Path]
) -> None:
    work = Experiment(lambda cell, _: CORRUPTS if cell.guest == "dom0" else VACUOUS)
    assert run(place, monkeypatch, work, Request(images=images, kinds=("dom0", "native"))) == 6
    assert work.rounds == 1
    failed = ET.parse(place / "results" / "latest" / "junit.xml").findall(".//failure")
    assert any("DOES NOT FIX" in str(case.get("message")) for case in failed)


def test_the_labs_own_fault_is_tried_once_more(
    place: Path, monkeypatch: pytest.MonkeyPatch, images: tuple[Path, Path]
) -> None:
    request = Request(images=images, kinds=("dom0",))
    passing = Experiment(lambda cell, number: LAB_ERROR if number == 2 else fixes(cell, number))
    assert run(place, monkeypatch, passing, request) == 0
    assert passing.rounds == 3
    lasting = Experiment(lambda cell, number: LAB_ERROR if number > 1 else fixes(cell, number))
    assert run(place, monkeypatch, lasting, request) == 4
    assert lasting.rounds == 3


def test_interrupted_and_resumed(
    place: Path, monkeypatch: pytest.MonkeyPatch, images: tuple[Path, Path]
) -> None:
    request = Request(images=images, kinds=("dom0",))
    assert run(place, monkeypatch, Experiment(fixes, stop_in=3), request) == 130
    again = Experiment(fixes)
    monkeypatch.setattr(validate, "run_experiment", again)
    assert command.resume(place / "results" / "latest") == 0
    assert again.rounds == 2  # the second again, which may have been interrupted, and the third
    with pytest.raises(UserError, match="is not a folder of `lab validate`"):
        command.resume(place)


def test_a_patch_is_kept_as_it_came_and_as_it_is_applied(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = place / "linux"
    tree.mkdir()
    for name in ("Makefile", "Kbuild"):
        (tree / name).touch()
    file = tree / "arch/x86/kernel/traps.c"
    file.parent.mkdir(parents=True)
    file.write_text((SEED.parent / "traps-4.1.c").read_text())
    built: list[str] = []

    def resolve(name: str, config: KernelConfig, _report: Any) -> None:
        built.append(name)
        assert config.tree == str(tree)
        if name == "patched" and len(built) == 4:
            raise BuildFailed("traps.c:1: error: no")

    monkeypatch.setattr(kernels, "resolve", resolve)
    request = Request(tree=str(tree), patch=SEED, kinds=("dom0",))
    assert run(place, monkeypatch, Experiment(fixes), request) == 0
    folder = place / "results" / "latest"
    came = folder / "patch" / "as-it-came" / SEED.name
    assert came.read_bytes() == SEED.read_bytes()
    assert "+\t\t\tstts();" in (folder / "patch" / "0001.patch").read_text()
    assert "header was broken over two lines" in (folder / "validate.txt").read_text()
    assert built == ["unpatched", "patched"]
    # And where the patched tree does not build:
    assert run(place, monkeypatch, Experiment(fixes), request) == 9
    text = (folder / "validate.txt").read_text()
    assert text.startswith("BREAKS: ")
    assert "the patched tree does not build: traps.c:1: error: no." in " ".join(text.split())


def test_a_patch_that_does_not_fit_leaves_nothing(place: Path) -> None:
    tree = place / "linux"
    tree.mkdir()
    for name in ("Makefile", "Kbuild"):
        (tree / name).touch()
    request = Request(tree=str(tree), patch=SEED)
    with pytest.raises(UserError, match=r"there is no file arch/x86/kernel/traps\.c"):
        validate_there(place, request)
    assert not (place / "results").exists()
    with pytest.raises(UserError, match="there is no such folder; a Linux tree"):
        validate_there(place, Request(tree=str(place / "x"), patch=SEED))


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("pvm",), "'pvm': should be KIND or KIND~VARIATION"),
        (("pv~4vcpu",), "'4vcpu' is not under 'variations:'"),
        (("native", "hvm"), "one of them should be pv or dom0"),
    ],
)
def test_cells_that_make_no_sense(place: Path, kinds: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        validate_there(place, Request(images=(place, place), kinds=kinds))
    assert not (place / "results").exists()


@pytest.mark.parametrize(
    "words",
    [[], ["--tree", "x"], ["--patch", "x"], ["--patched", "x"],
     ["--tree", "x", "--patch", "y", "--patched", "z", "--unpatched", "a"],
     ["--xen", "xen"], ["--xen", "xen", "--tree", "x", "--patch", "y"]],
)  # fmt: skip
def test_half_a_request_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["validate", *words])
    assert isinstance(done.exception, UserError)


# What it says


def test_the_page_is_fit_for_a_mail() -> None:
    pairs = [*both("pv", CORRUPTS, CLEAN), *both("native", CLEAN, CLEAN), *both("pvh", None, None)]
    text = validatetext.page(
        "x86/fpu: a title", validate.decide_rows(rows(pairs)), rows(pairs),
        {"tree": "/a/tree at v4.1"},
        ["hunk 1 of traps.c: its header was broken"], "lab validate --tree /a/tree",
    )  # fmt: skip
    assert text.startswith("FIXES: x86/fpu: a title\n")
    assert text.endswith("Tested-by: YOUR NAME <your@address>\n")
    table = {line.split()[0]: line for line in text.splitlines() if " boot" in line}
    assert table["pv"].split()[1:6] == ["CORRUPTS", "0/100", "in", "1", "boot"]
    assert table["pv"].endswith("fixed")
    assert "impossible" in text
    assert "header was broken" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_only_a_fix_is_to_be_signed() -> None:
    for before, after in ((CORRUPTS, CORRUPTS), (CLEAN, CLEAN), (CORRUPTS, CRASHED)):
        pairs = both("pv", before, after)
        text = validatetext.page("t", validate.decide_rows(rows(pairs)), rows(pairs), {}, [], "r")
        assert "Tested-by" not in text
        assert "so it was" in text or after is CORRUPTS or before is CLEAN


def test_junit_has_the_outcome() -> None:
    kinds = {
        Outcome.FIXES: "", Outcome.DOES_NOT_FIX: "failure", Outcome.BREAKS: "failure",
        Outcome.VACUOUS: "skipped", Outcome.LAB_ERROR: "error",
    }  # fmt: skip
    seen = set()
    for before, after in (
        (CORRUPTS, CLEAN), (CORRUPTS, CORRUPTS), (CORRUPTS, CRASHED), (CLEAN, CLEAN),
        (CORRUPTS, LAB_ERROR),
    ):  # fmt: skip
        pairs = both("pv", before, after)
        decision = validate.decide_rows(rows(pairs))
        seen.add(decision.outcome)
        root = ET.fromstring(validatetext.junit(decision, pairs))
        (case,) = root.findall(".//testcase[@name='the patch']")
        marks = {child.tag for child in case} - {"system-out"}
        assert marks == ({kinds[decision.outcome]} - {""})
    assert seen == set(Outcome)
    assert decide([]).outcome is Outcome.VACUOUS
