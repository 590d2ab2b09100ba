# SPDX-License-Identifier: GPL-2.0-or-later
"""What `lab probe` boots, what it refuses, and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.config.lab import LabConfig
from lab.console.watch import Ending
from lab.errors import UserError
from lab.host.guest import xl_config
from lab.probe import course, place
from lab.probe.command import read_expectation, read_kinds
from lab.probe.course import Asked, add_args
from lab.probe.folder import Evidence
from lab.probe.judge import Outcome
from lab.probe.questions import Abi
from lab.probe.verify import rederive
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.supplies.gather import Supplies
from lab.xen.hypervisor import Xen
from tests.helpers.probes import NONCE, console, list_answers

CONFIG = LabConfig.model_validate(
    {"kernels": {"x": {"control": "bad"}}, "xens": {"mine": {"source": "xen", "args": "a=1"}}}
)
QEMU = Qemu(Path("/q"), "7.2", ("native", "dom0"), "too old", "system")
SUPPLIES = Supplies(
    QEMU, Accel("tcg", "x"), Path("p"), Path("r"), {}, Xen(Path("/x/xen"), "p", "1"), None
)


def test_the_command_lines(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    dom0 = place.make_command(SUPPLIES, "dom0", "spec-ctrl=eager-fpu", "probe.run=1", log)
    assert dom0[dom0.index("-kernel") + 1] == "/x/xen"
    words = dom0[dom0.index("-append") + 1].split()
    # Two virtual processors on one: only so Xen has to switch between them.
    assert dom0[dom0.index("-smp") + 1] == "1"
    assert "dom0_max_vcpus=2" in words
    assert words[-1] == "spec-ctrl=eager-fpu"
    assert dom0[-1].endswith("build/probe-pv probe.run=1")
    native = place.make_command(SUPPLIES, "native", "ignored", "probe.run=1", log)
    assert native[native.index("-kernel") + 1].endswith("build/probe-bare")
    assert "ignored" not in " ".join(native)
    assert native[-1] == "probe.run=1"


def test_the_guests_of_the_host() -> None:
    pv = xl_config(place.make_spec("pv", "n", "/k", "probe.run=1", 2, True)).splitlines()
    assert {'name = "lab-probe-n"', 'type = "pv"', "vcpus = 2", 'cpus = "1"'} <= set(pv)
    assert 'cmdline = "console=hvc0 probe.run=1"' in pv
    assert not [line for line in pv if "ramdisk" in line]
    hvm = xl_config(place.make_spec("hvm", "n", "/k", "probe.run=1", 2, True)).splitlines()
    assert {'type = "hvm"', "vcpus = 1"} <= set(hvm)
    assert not [line for line in hvm if line.startswith("cpus")]


def test_words_for_xen_are_added_to_the_one_that_is_asked() -> None:
    assert add_args(CONFIG, "", "") is CONFIG
    plain, named = add_args(CONFIG, "", "b"), add_args(CONFIG, "mine", "b")
    assert (plain.xen.args, plain.xens["mine"].args) == ("b", "a=1")
    assert (named.xen.args, named.xens["mine"].args) == ("", "a=1 b")


def test_kinds_are_asked_once_in_the_usual_order() -> None:
    assert read_kinds([]) == ("native", "dom0")
    assert read_kinds(["pv", "native", "pv"]) == ("native", "pv")
    for word in ("xen", "hvm"):
        with pytest.raises(UserError, match=f"'{word}' is not a kind that the probe asks: native"):
            read_kinds([word])


def test_an_expectation_is_clear_or_set() -> None:
    assert [read_expectation(word) for word in (None, "clear", "set")] == [
        None, Abi.CLEAR, Abi.SET,
    ]  # fmt: skip
    with pytest.raises(UserError, match="--expect yes: should be clear or set"):
        read_expectation("yes")


def test_what_cannot_be_asked_is_refused_at_once() -> None:
    with pytest.raises(UserError, match=r"--xen old: should be a name under 'xens:'.*mine"):
        course.check(CONFIG, Asked(("dom0",), "old"))
    real = CONFIG.model_copy(update={"host": CONFIG.host.model_copy(update={"kind": "real"})})
    course.check(real, Asked(("native", "dom0")))
    with pytest.raises(UserError, match=r"host\.kind is real"):
        course.check(real, Asked(("pv",)))
    small = CONFIG.model_copy(update={"host": CONFIG.host.model_copy(update={"memory_mib": 1100})})
    with pytest.raises(UserError, match=r"host\.memory_mib: 1100 leaves no room"):
        course.check(small, Asked(("pv",)))


def test_a_kind_that_cannot_run_here_is_refused() -> None:
    with pytest.raises(UserError, match=r"hvm is impossible here: QEMU 7.2: too old"):
        course._check_kinds(SUPPLIES, ["native", "hvm"])


def test_the_findings_are_derived_again_from_the_consoles(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "dom0")
    evidence.begin(NONCE, {"qemu": ["qemu"]})
    evidence.console.write_bytes(console("dom0", list_answers("dom0", Abi.CLEAR)))
    found = evidence.end(Ending("finished", seconds=2.0))
    assert found.outcome is Outcome.CLEAR
    assert rederive(tmp_path) == ([found], [])
    written = json.loads((tmp_path / "dom0" / "verdict.json").read_text())
    written["outcome"] = "TS SET"
    (tmp_path / "dom0" / "verdict.json").write_text(json.dumps(written))
    _, (difference,) = rederive(tmp_path)
    assert difference == "dom0: written TS SET, derived TS CLEAR"
    lines = (tmp_path / "dom0" / "records.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "seq": 1, "type": "answer", "question": "set", "seen": "set", "traps": "1",
    }  # fmt: skip
    with pytest.raises(UserError, match="has no folder of a probe's guest"):
        rederive(tmp_path / "dom0")


def test_an_attempt_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "mine" / "dom0")
    evidence.begin("0123", {})
    assert not evidence.whole
    evidence.begin(NONCE, {})
    evidence.console.write_bytes(console("dom0", list_answers("dom0", Abi.SET)))
    found = evidence.end(Ending("finished"))
    assert evidence.whole
    assert rederive(tmp_path) == ([found], [])
