# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress program as an ordinary process: its records, its detectors, its instructions."""

from __future__ import annotations

import re
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.helpers.project import PROJECT

REPRO = PROJECT / "repro"
CLEAN, USAGE, VACUOUS, CORRUPTS = 0, 2, 3, 6
ANYWHERE = ("opener_cpu=any", "victim_cpu=any")
# Opcodes that use x87, MMX or SSE registers, and operands that name one.
FPU = re.compile(
    r"%x?y?z?mm\d|%st\b|%st\(|\t(f(?!s:)[a-z0-9]+|emms|v?ldmxcsr|v?stmxcsr|xsave|xrstor)\b"
)

Fields = dict[str, str]


@pytest.fixture(scope="session", params=[64, 32])
def program(request: pytest.FixtureRequest) -> Path:
    subprocess.run(["make", "-s", "-C", str(REPRO), "all"], check=True)
    return REPRO / "build" / f"mmxstress{request.param}"


def read(output: str) -> list[tuple[str, Fields]]:
    """All records, each with its number and CRC checked; nothing else may be printed."""
    records = []
    for number, line in enumerate(output.splitlines()):
        text, crc = line.rsplit(" #", 1)
        assert int(crc, 16) == zlib.crc32(text.encode()), line
        mark, seq, kind, *words = text.split(" ")
        assert (mark, int(seq)) == ("@mmx", number)
        records.append((kind, dict(word.split("=", 1) for word in words)))
    return records


def run(program: Path, *words: str) -> tuple[int, list[tuple[str, Fields]]]:
    done = subprocess.run(
        [program, *words], stdout=subprocess.PIPE, timeout=60, text=True, check=False
    )
    return done.returncode, read(done.stdout)


def of(records: list[tuple[str, Fields]], kind: str) -> list[Fields]:
    return [fields for name, fields in records if name == kind]


def test_a_short_run_is_clean_and_says_what_it_did(program: Path) -> None:
    code, records = run(program, "run=n0nce", "seconds=4", "seed=7", *ANYWHERE)
    kinds = [kind for kind, _ in records]
    assert kinds[:5] == ["start", "env", "selftest", "selftest", "sched"]
    assert kinds[-3:] == ["end"] * 3
    assert "progress" in kinds
    assert "corrupt" not in kinds
    start, env, end = records[0][1], records[1][1], records[-1][1]
    assert (start["run"], start["seed"], start["seconds"]) == ("n0nce", "7", "4")
    assert program.name.endswith(start["arch"])
    assert env["release"]
    # A stock kernel of today switches eagerly: it has no window, and the program knows.
    assert code == (VACUOUS if env["fpu"] == "eager" else CLEAN)
    assert (end["status"], end["reason"], end["corruptions"]) == ("ok", "time", "0")
    assert int(end["windows"]) > 0
    assert int(end["victim_checks"]) > 0
    assert int(end["opener_checks"]) > 0


def test_every_start_proves_the_detectors(program: Path) -> None:
    _, records = run(program, "seconds=1", *ANYWHERE)
    tests = of(records, "selftest")
    assert [test["role"] for test in tests] == ["victim", "opener"]
    assert all(int(test["checks"]) == int(test["caught"]) >= 16 for test in tests)
    for test in tests:
        for file in ("mmx", "x87", "sse"):
            checks, caught = test[file].split("/")
            assert checks == caught
            assert int(checks) >= 16


@pytest.mark.parametrize(
    ("files", "registers"), [("mmx", "mm"), ("x87", "st"), ("sse", "xmm"), ("mmx,sse", "mm|xmm")]
)
def test_only_the_files_that_are_asked_for_are_watched(
    program: Path, files: str, registers: str
) -> None:
    words = (f"files={files}", "inject=1", "seconds=1", "victims=1", "openers=1")
    code, records = run(program, *words, *ANYWHERE)
    assert code == CORRUPTS
    assert records[0][1]["files"] == files
    found = of(records, "corrupt")
    assert all(re.fullmatch(rf"({registers})[0-7]", fields["reg"]) for fields in found)
    assert len({fields["reg"] for fields in found}) >= 6
    end = records[-1][1]
    for file in ("mmx", "x87", "sse"):
        assert (int(end[file]) > 0) == (file in files.split(","))


def test_injected_corruption_is_found_in_each_role_and_file(program: Path) -> None:
    code, records = run(program, "inject=1", "seconds=2", "openers=1", "opener_us=2000", *ANYWHERE)
    assert code == CORRUPTS
    assert records[0][1]["inject"] == "1"
    found = of(records, "corrupt")
    assert {fields["role"] for fields in found} <= {"victim", "opener"}
    registers = {fields["reg"].rstrip("01234567") for fields in found}
    assert registers == {"mm", "st", "xmm"}
    named = [fields for fields in found if fields.get("part") != "exponent"]
    assert all(fields["owner"].startswith("injected/") for fields in named)
    assert all(fields["wrong"] == "1" for fields in found)
    assert all(fields["want"] != fields["got"] for fields in found)
    end = records[-1][1]
    assert int(end["victim_corruptions"]) > 0
    assert int(end["opener_corruptions"]) > 0
    assert len(found) <= 50


def test_it_stops_at_the_first_corruption(program: Path) -> None:
    code, records = run(program, "inject=1", "stop=1", "seconds=30", *ANYWHERE)
    assert code == CORRUPTS
    end = records[-1][1]
    assert (end["status"], end["reason"]) == ("stopped", "corruption")
    assert float(end["t"]) < 10


def test_hits_are_windows_not_checks(program: Path) -> None:
    """A window counts once, however many checks fail in it."""
    _, records = run(program, "inject=1", "stop=3", "seconds=30", "victims=4", *ANYWHERE)
    end = records[-1][1]
    assert 3 <= int(end["hits"]) <= min(int(end["corruptions"]), int(end["windows"]) + 1)
    assert end["status"] == "stopped"
    found = [int(fields["windows"]) for kind, fields in records if kind == "corrupt"]
    assert found
    assert max(found) <= int(end["windows"])


def test_it_stops_after_so_many_windows(program: Path) -> None:
    _, records = run(program, "windows=20", "seconds=30", "opener_us=1000", *ANYWHERE)
    end = records[-1][1]
    assert end["reason"] == "windows"
    assert int(end["windows"]) >= 20
    assert int(end["attempts"]) >= int(end["windows"])


def test_it_goes_on_past_its_windows_for_the_checks_it_needs(program: Path) -> None:
    words = ("windows=5", "checks=3000", "seconds=30", *ANYWHERE)
    _, records = run(program, *words)
    end = records[-1][1]
    assert end["reason"] == "windows"
    assert int(end["victim_checks"]) + int(end["opener_checks"]) >= 3000


def test_openers_whose_parent_used_the_fpu_open_no_window(program: Path) -> None:
    code, records = run(program, "parent_fpu=1", "seconds=1", *ANYWHERE)
    assert code == VACUOUS
    end = records[-1][1]
    assert int(end["windows"]) == 0
    assert int(end["inherited"]) > 0
    assert end["vacuous"] == "parent_fpu"
    assert of(records, "sched")[0]["openers_parent"] == "fpu"


def test_only_the_steady_victims_are_heard_as_witnesses(program: Path) -> None:
    words = ("witness=1", "steady=2", "inject=1", "seconds=2", "victims=1", "openers=1")
    _, records = run(program, *words, *ANYWHERE)
    found = [fields for kind, fields in records if kind == "corrupt"]
    assert found
    assert {(f["role"], f["id"]) for f in found} <= {("victim", "2"), ("victim", "3")}
    assert records[-1][1]["opener_checks"] == "0"


def test_victims_wake_inside_windows(program: Path) -> None:
    """On any kernel: openers learn from when victims wake, not from what these find."""
    _, records = run(program, "seconds=300", "tried=5", "opener_cpu=0", "victim_cpu=0")
    end = records[-1][1]
    assert int(end["victim_checks"]) > int(end["windows"]) // 10
    if of(records, "sched")[0]["fifo"] != "yes":
        pytest.skip("not allowed to make victims real-time tasks: they wake when it suits them")
    assert end["reason"] == "tried"
    assert 5 <= int(end["tried"]) <= int(end["windows"])


def test_what_is_tried_and_unharmed_is_not_struck(program: Path) -> None:
    """Whoever corrupts: only a check that failed in such a window counts."""
    words = ("seconds=300", "tried=40", "opener_cpu=0", "victim_cpu=0")
    for inject, most in (("0", 0), ("1", 40)):
        _, records = run(program, *words, f"inject={inject}")
        if of(records, "sched")[0]["fifo"] != "yes":
            pytest.skip("not allowed to make victims real-time tasks")
        end = records[-1][1]
        assert bool(int(end["struck"])) is bool(most)
        assert int(end["struck"]) <= int(end["tried"])


def test_one_opener_and_its_victims_on_each_vcpu(program: Path) -> None:
    """Nobody waits for a kick that never comes: all check, whatever the numbers."""
    for openers, victims in ((2, 4), (3, 2), (2, 3), (0, 2), (2, 0)):
        numbers = (f"openers={openers}", f"victims={victims}")
        _, records = run(program, "seconds=1", *numbers, *ANYWHERE)
        end = records[-1][1]
        assert bool(int(end["opener_checks"])) is bool(openers)
        assert bool(int(end["victim_checks"])) is bool(victims)


def test_lanes_are_openers_and_victims_for_each_vcpu(program: Path) -> None:
    """As many serials as checks: whoever has an id above the given numbers was added."""
    words = ("lanes=1", "openers=1", "victims=1", "inject=1", "seconds=3")
    _, records = run(program, *words)
    vcpus = int(of(records, "env")[0]["vcpus"])
    found = [fields for kind, fields in records if kind == "corrupt"]
    ids = {int(fields["id"]) for fields in found if fields["role"] == "victim"}
    assert max(ids) <= vcpus
    assert vcpus == 1 or len(ids) > 1


def test_steady_victims_are_counted_separately(program: Path) -> None:
    _, records = run(program, "steady=1", "victims=1", "seconds=1", "inject=1", *ANYWHERE)
    end = records[-1][1]
    checks, corruptions = (int(part) for part in end["steady"].split("/"))
    assert 0 < checks < int(end["victim_checks"])
    assert 0 < corruptions < int(end["victim_corruptions"])


def test_only_pid_1_may_hold_openers_back(program: Path) -> None:
    """It changes how the whole machine throttles real-time tasks."""
    code, records = run(program, "halt=1", "prio=0", "seconds=1", *ANYWHERE)
    assert code == 4
    assert records[-1][1]["reason"] == "halt_needs_pid1"


def test_only_pid_1_may_make_memory_run_short(program: Path) -> None:
    """Or the kernel would kill this machine's processes."""
    code, records = run(program, "pressure=1", "seconds=1", *ANYWHERE)
    assert code == 4
    assert records[-1][1]["reason"] == "pressure_needs_pid1"
    assert records[-1][1]["pressed"] == "0"


def test_without_openers_the_run_is_vacuous(program: Path) -> None:
    code, records = run(program, "openers=0", "seconds=1", *ANYWHERE)
    assert code == VACUOUS
    assert records[-1][1]["vacuous"] == "no_windows"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["colour=red"], "unknown_setting:colour=red"),
        (["seconds=0"], "bad_value:seconds=0"),
        (["victims=-1"], "bad_value:victims=-1"),
        (["openers="], "bad_value:openers="),
        (["windows=99999999999999999999"], "bad_value:windows=99999999999999999999"),
        (["files=mmx,avx"], "bad_value:files=mmx,avx"),
        (["files=sse,sse"], "bad_value:files=sse,sse"),
        (["files=mmx,"], "bad_value:files=mmx,"),
        (["files="], "bad_value:files="),
        (["stop=-2"], "bad_value:stop=-2"),
        (["run=a b"], "bad_value:run=a_b"),
        (["seed=1", "seed=2"], "given_twice:seed=2"),
    ],
)
def test_a_bad_setting_is_refused_in_one_record(
    program: Path, words: list[str], reason: str
) -> None:
    code, records = run(program, *words)
    assert code == USAGE
    assert {kind for kind, _ in records} == {"end"}
    assert {(end["status"], end["reason"]) for _, end in records} == {("error", reason)}


def test_a_cpu_that_is_not_there_is_an_error(program: Path) -> None:
    code, records = run(program, "victim_cpu=1000", "opener_cpu=any", "seconds=1")
    assert code == 4
    assert records[-1][1]["reason"] == "no_such_cpu"


def test_without_privilege_it_runs_and_says_so(program: Path) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", program, "seconds=1", *ANYWHERE],
        stdout=subprocess.PIPE,
        timeout=60,
        text=True,
        check=False,
    )
    if not done.stdout:
        pytest.skip("this user may not become another one, or nobody may read the program")
    records = read(done.stdout)
    assert of(records, "sched")[0]["fifo"] == "refused"
    assert int(records[-1][1]["victim_checks"]) > 0


def test_only_the_register_functions_use_the_fpu(program: Path) -> None:
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", program],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    function, users = "", set()
    for line in listing.splitlines():
        if heading := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function = heading[1]
        elif FPU.search(line):
            users.add(function)
    assert users == {"registers_load", "registers_store"}


def test_it_needs_no_loader_and_no_library(program: Path) -> None:
    headers = subprocess.run(
        ["readelf", "-lW", program], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert "EXEC" in headers
    assert "INTERP" not in headers
    assert "DYNAMIC" not in headers
