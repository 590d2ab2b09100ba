# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab replay --gdb`, its pure parts: what is said, gdb's command line, what the console means."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.gdb import command, program, scene
from lab.gdb.program import Session
from lab.trace import elf as elf_files
from lab.trace.event import Trace
from tests.helpers.project import PROJECT

TRACE = Path(__file__).parents[1] / "traces" / "control.json"


def dom0() -> Trace:
    trace = Trace.from_json(json.loads(TRACE.read_text())["sides"][0])
    for number, event in enumerate(trace.events):
        event.at = 1_000_000 + number
    return trace


def test_the_moments_are_in_the_order_of_the_boot_and_before_the_failed_check() -> None:
    found = scene.build(dom0())
    names = [moment.name for moment in found.moments]
    assert names == ["value", "trap", "nm", "alloc", "sleep", "read", "failed"]
    assert set(scene.STOPS) == set(names) - {"failed"}
    assert [m.at for m in found.moments] == sorted(m.at for m in found.moments)
    nm = found.at("nm")
    assert nm is not None
    assert nm.us == 0
    assert found.at("nowhere") is None


def test_what_is_said_before_the_prompt() -> None:
    found = scene.build(dom0())
    nm = found.at("nm")
    assert nm is not None
    lines = scene.describe(found, nm, reverse=True)
    text = "\n".join(lines)
    assert "  A  opener 2, pid 123" in lines
    assert "exc_device_not_available begins for A: CR0.TS=0, the kernel wrote 1 last" in text
    # Whose value, and whose it should be.
    assert re.search(r"C has loaded 560100008be0\w{4} \(V1/139\) into mm0", text)
    assert re.search(r"B has read mm0: 56\w{14} \(V1/139\) instead of 56\w{14} \(V2/141\)", text)
    assert [line[:4] for line in lines if line.startswith(">")] == ["> nm"]
    assert "hbreak __kmalloc" in text
    assert "reverse-stepi" in text
    assert "reverse" not in "\n".join(scene.describe(found, nm, reverse=False))


def test_tasks_are_named_by_their_address() -> None:
    trace = dom0()
    found = scene.build(trace)
    trap = next(event for event in trace.events if event.at == found.moments[1].at)
    assert found.tasks[trap.task] == "A: opener 2, pid 123"


def test_a_boot_without_a_window_has_no_scene() -> None:
    trace = dom0()
    trace.events = [event for event in trace.events if event.kind != "nm"]
    with pytest.raises(LabError, match="no task that slept"):
        scene.build(trace)
    assert "5 instructions before the failed check" in scene.describe_no_window("why", 5)[1]


def test_the_command_line_of_gdb() -> None:
    elfs = [Path("/a b/vmlinux"), Path('/a "b"/mmxstress')]
    words = program.argv(Session("gdb", elfs, Path("/s/gdb"), Path("/s/facts.json")))
    assert words[0] == "gdb"
    assert words[-1] == "/a b/vmlinux"
    assert "-batch" not in words
    assert 'add-symbol-file "/a \\"b\\"/mmxstress"' in words
    assert words.index("target remote /s/gdb") < len(words) - 1
    words = program.argv(Session("gdb", elfs, Path("/s/gdb"), Path("/f"), ["bt", "mm"]))
    assert {"-batch", "-nx"} < set(words)
    assert words[-5:-1] == ["-ex", "bt", "-ex", "mm"], "after the machine is there"


def test_without_gdb_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="apt-get install gdb"):
        program.find()


def test_an_unknown_stop_is_refused() -> None:
    with pytest.raises(UserError, match="should be one of nm, value, trap"):
        command.check_wanted("later", None, None, [])
    assert command.check_wanted(None, None, None, []).stop == "nm"


def test_what_the_console_says_about_the_boot_under_gdb() -> None:
    assert command.judge(b"a\nb\n", b"a\nb\n") == (0, ["identical: 4 bytes of console"])
    code, said = command.judge(b"a\nb\n", b"a\n")
    assert code == 0
    assert "2 of 4 bytes" in said[0]
    code, said = command.judge(b"a\nb\n", b"a\na\nb\n")
    assert code == 8
    assert "going back" in said[-1]


def test_symbols_of_xen_must_be_of_the_same_code(tmp_path: Path) -> None:
    elf = PROJECT / "repro" / "build" / "mmxstress64"
    content = elf.read_bytes()
    image, other = tmp_path / "xen", tmp_path / "other"
    image.write_bytes(b"head" + content)
    other.write_bytes(b"head" + bytes(len(content)))
    assert elf_files.find_fitting([TRACE, elf], image) == elf
    assert elf_files.find_fitting([TRACE, elf], other) is None


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_the_commands_load_in_gdb(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"tasks": {"4096": "A: opener 1"}, "current": 1, "per_cpu": None}))
    elf = PROJECT / "repro" / "build" / "mmxstress64"
    session = Session(program.find(), [elf], tmp_path / "none", facts, ["print $who(4096)"])
    words = program.argv(session)
    place = words.index(f"target remote {tmp_path / 'none'}")
    done = subprocess.run(
        [*words[: place - 1], *words[place + 1 :]], capture_output=True, text=True, check=False
    )
    assert "A: opener 1" in done.stdout, done.stderr
