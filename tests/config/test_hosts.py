# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells that have a host: ids, which hosts there are, expectations, controls, refusals."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lab.config.cellname import CellName, fits
from lab.config.cells import Cell, cells, control_of, on_hosts, select, with_named_hosts
from lab.config.claim import ClaimConfig, measured_by
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.errors import UserError

HERE = Path("/somewhere/lab.yaml")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPl5M0N0cQ0m2m0vQb8p0cXQv1yO0h1mJ0n3m0cZ8m2a"
BOARD = """{power: {kind: command, 'on': [a], 'off': [b], status: [c]},
  console: {kind: tcp, address: x, port: 1}, mac: '52:54:00:12:34:56'%s}"""
NETWORK = ", boot: {kind: network, address: 10.0.0.1}"
BASE = f"""
boards:
  b1: {BOARD % NETWORK}
  deaf: {BOARD % ""}
hosts:
  nested: {{kind: nested}}
  rack1: {{board: b1, boot_seconds: 300}}
  xenbox: {{kind: real, address: xen.example, host_key: {KEY}}}
  large: {{kind: nested, memory_mib: 8192}}
kernels:
  old: {{image: old.bzImage}}
  bad: {{control: bad}}
"""
EXPECT = "expect: {corrupts: [dom0-bad, pv-bad], clean: ['native-*']}\n"


def config(text: str = EXPECT) -> LabConfig:
    return parse(BASE + text, HERE)


def ids(made: list[Cell]) -> list[str]:
    return [cell.id for cell in made]


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        cells(parse(text, HERE))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["dom0-linux-3.19.8~2vcpu@rack1", "pv-a-b@x.y", "native-old", "hvm-old~eager"]
)
def test_an_id_is_its_parts(text: str) -> None:
    assert str(CellName.parse(text)) == text


def test_the_parts_of_an_id() -> None:
    assert CellName.parse("pv-3.2~2vcpu@r1") == CellName("pv", "3.2", "2vcpu", "r1")
    assert CellName.parse("pv-3.2@r1") == CellName("pv", "3.2", "plain", "r1")


@pytest.mark.parametrize("text", ["dom0", "xen-old", "dom0-", "dom0-old@", "@rack1"])
def test_what_is_not_an_id(text: str) -> None:
    with pytest.raises(UserError, match="is not a cell id"):
        CellName.parse(text)


@pytest.mark.parametrize(
    ("cell", "glob", "named"),
    [
        ("dom0-bad@rack1", "dom0-bad", True),
        ("dom0-bad@rack1", "dom0-*", True),
        ("dom0-bad@rack1", "dom0-bad@rack1", True),
        ("dom0-bad@rack1", "*@rack*", True),
        ("dom0-bad@rack1", "dom0-bad@rack2", False),
        ("dom0-bad@rack1", "dom0-bad@nested", False),
        ("dom0-bad", "dom0-bad@nested", True),
        ("dom0-bad", "dom0-bad@rack1", False),
        ("dom0-bad~2vcpu@rack1", "dom0-bad", False),
    ],
)
def test_a_glob_without_a_host_holds_on_every_one(cell: str, glob: str, named: bool) -> None:
    assert fits(cell, glob) is named


def test_without_hosts_everything_is_where_it_was() -> None:
    made = cells(config())
    assert ids(made)[:2] == ["native-old", "dom0-old"]
    assert len(made) == 10
    assert {(cell.host, cell.board) for cell in made} == {("", "")}


def test_each_host_has_the_kinds_that_it_runs() -> None:
    made = cells(config(EXPECT + "matrix: {kernels: [bad], hosts: [nested, rack1, xenbox]}"))
    assert ids(made) == [
        "native-bad", "native-bad@rack1", "dom0-bad", "dom0-bad@rack1",
        "pv-bad", "pv-bad@xenbox", "pvh-bad", "pvh-bad@xenbox", "hvm-bad", "hvm-bad@xenbox",
    ]  # fmt: skip
    board = made[3]
    assert (board.host, board.board, board.expect) == ("rack1", "b1", "corrupts")


def test_an_expectation_that_names_the_host_goes_first() -> None:
    text = "expect: {corrupts: [dom0-bad], clean: ['dom0-bad@rack1', native-bad]}\n"
    made = cells(config(text + "matrix: {kernels: [bad], hosts: [nested, rack1, large]}"))
    found = {cell.id: cell.expect for cell in made if cell.guest == "dom0"}
    assert found == {
        "dom0-bad": "corrupts", "dom0-bad@rack1": "clean", "dom0-bad@large": "corrupts",
    }  # fmt: skip


def test_include_and_exclude_with_and_without_a_host() -> None:
    matrix = "matrix: {guests: [native, dom0], hosts: [nested, rack1], include: [pv-bad@xenbox]"
    made = cells(config(EXPECT + matrix + ", exclude: [native-old, dom0-old@nested]}"))
    assert ids(made) == [
        "dom0-old@rack1", "native-bad", "native-bad@rack1", "dom0-bad", "dom0-bad@rack1",
        "pv-bad@xenbox",
    ]  # fmt: skip
    expect = "expect: {corrupts: [dom0-bad]}\n"
    twice = config(expect + "matrix: {guests: [dom0], include: [dom0-bad@nested]}")
    assert ids(cells(twice)) == ["dom0-old", "dom0-bad"]


def test_what_is_said_about_hosts_that_were_not_chosen_is_accepted() -> None:
    text = "expect: {corrupts: ['dom0-bad@rack1', pv-bad]}\nmatrix: {exclude: ['*-old@rack1']}"
    assert len(cells(config(text))) == 10
    assert len(cells(on_hosts(config(text), ["rack1"]))) == 2


def test_the_control_is_the_same_hosts() -> None:
    plan = cells(config(EXPECT + "matrix: {hosts: [nested, rack1, xenbox]}"))
    by_id = {cell.id: cell for cell in plan}
    pairs = {
        "native-old": "dom0-bad", "native-old@rack1": "dom0-bad@rack1",
        "hvm-old@xenbox": "pv-bad@xenbox", "dom0-old@rack1": "dom0-bad@rack1",
    }  # fmt: skip
    for cell, control in pairs.items():
        assert control_of(by_id[cell], plan) == by_id[control]
    elsewhere = [cell for cell in plan if cell.host != "rack1"]
    assert control_of(by_id["native-old@rack1"], elsewhere) is None


def test_the_command_line_names_hosts() -> None:
    board = with_named_hosts(config(), ["native-old@rack1"])
    assert ids(select(cells(board), ["native-old@rack1"])) == ["native-old@rack1", "dom0-bad@rack1"]
    both = on_hosts(config(), ["nested", "rack1"])
    assert ids(select(cells(both), ["native-old"])) == [
        "native-old", "native-old@rack1", "dom0-bad", "dom0-bad@rack1",
    ]  # fmt: skip
    everywhere = with_named_hosts(config(), ["dom0-bad@*"])
    assert ids(select(cells(everywhere), ["dom0-bad@*"])) == [
        "dom0-bad", "dom0-bad@rack1", "dom0-bad@large",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: on_hosts(config(), ["rak1"]), "--host: 'rak1' is not under 'hosts:' (there are"),
        (lambda: with_named_hosts(config(), ["pv-bad@rak1"]), "names the host 'rak1', which"),
        (
            lambda: select(cells(with_named_hosts(config(), ["pv-bad@rack1"])), ["pv-bad@rack1"]),
            "'pv-bad@rack1' matches no cell",
        ),
    ],
)
def test_a_host_that_is_not_there_is_said(ask: object, words: str) -> None:
    assert callable(ask)
    with pytest.raises(UserError) as caught:
        ask()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("matrix: {hosts: [rack2]}", "'rack2' is not under 'hosts:' (there are nested, rack1"),
        ("matrix: {hosts: []}", "matrix.hosts"),
        (
            "matrix: {guests: [pv], hosts: [rack1]}",
            "that runs no pv cells: boards.b1 has no 'ssh'",
        ),
        (
            "matrix: {include: [hvm-bad@rack1]}",
            "'rack1' is a board that runs no hvm cells",
        ),
        (
            "matrix: {include: [dom0-bad@xenbox]}",
            "a real host, which runs no dom0 cells",
        ),
        ("matrix: {include: [dom0-bad@nowhere]}", "names the host 'nowhere', which is not under"),
        ("expect: {clean: [native-bad@rack2]}", "'native-bad@rack2' matches no cell"),
        ("expect: {clean: [pv-bad@rack1]}", "'pv-bad@rack1' matches no cell"),
    ],
)
def test_a_wrong_host_of_a_cell_is_one_sentence(text: str, words: str) -> None:
    assert words in refusal(BASE + text)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("{board: b9}", "hosts.rack1: the board 'b9' is not under 'boards:' (b1, deaf)"),
        ("{board: deaf}", "boards.deaf has neither 'boot', for native"),
        ("{}", "hosts.rack1: should say 'board: NAME', 'kind: nested' or 'kind: real'"),
        ("{board: b1, kind: nested}", "so that 'kind' does not go with 'board'"),
        ("{kind: nested, boot_seconds: 60}", "'boot_seconds' goes with 'board' only"),
        ("{kind: real}", "a real host needs 'address' and 'host_key'"),
        ("{bord: b1}", "did you mean 'board'"),
        ("{tag: amd}", "hosts.rack1: no board has the tag 'amd' (none has any)"),
        ("{board: [b1, b9]}", "hosts.rack1: the board 'b9' is not under 'boards:'"),
        ("{board: [b1, deaf]}", "boards.deaf has neither 'boot', for native"),
        ("{board: [b1, b1]}", "names a board twice"),
        ("{board: []}", "should name at least one board"),
        ("{board: b1, tag: amd}", "has both 'board' and 'tag'"),
        ("{tag: amd, kind: nested}", "so that 'kind' does not go with 'tag'"),
        ("{board: b1}\n  default: {board: b1}", "hosts.default: is the name of the host under"),
        ("{board: b1}\n  a@b: {board: b1}", "'a@b' is not a name"),
    ],
)
def test_a_wrong_host_is_one_sentence(host: str, words: str) -> None:
    text = BASE.replace("{board: b1, boot_seconds: 300}", host)
    assert words in refusal(text)


def test_what_is_written_of_a_run_can_be_read_again() -> None:
    given = config(EXPECT + "matrix: {hosts: [nested, rack1, xenbox]}")
    again = LabConfig.model_validate(json.loads(json.dumps(given.model_dump(mode="json"))))
    assert again == given
    assert cells(again) == cells(given)


def test_a_plan_from_before_there_were_hosts_is_read() -> None:
    old = asdict(cells(config())[0])
    del old["host"], old["board"]
    assert Cell(**old) == cells(config())[0]


def test_a_claim_counts_on_every_host() -> None:
    claim = ClaimConfig(says="", source="", cells=["dom0-bad"], show="alike", than="pv-bad")
    assert measured_by({"c": claim}, "dom0-bad@rack1")
    assert not measured_by({"c": claim}, "dom0-old@rack1")


POOL = BASE.replace("  deaf:", "  b2: {power: {kind: command, 'on': [a], 'off': [c], status: [c]},"
  " console: {kind: tcp, address: x, port: 2}, mac: '52:54:00:12:34:57'" + NETWORK + "}\n  deaf:"
).replace("{board: b1, boot_seconds: 300}", "{board: [b1, b2]}")  # fmt: skip


def test_a_host_of_several_boards_has_a_control_on_each() -> None:
    text = "matrix: {kernels: [bad, old], guests: [native, dom0], hosts: [rack1]}\n"
    expect = "expect: {corrupts: [dom0-bad], clean: ['native-*']}\n"
    made = cells(parse(POOL + expect + text, HERE))
    assert ids(made) == [
        "native-bad@rack1", "dom0-bad@rack1=b1", "dom0-bad@rack1=b2", "native-old@rack1",
        "dom0-old@rack1",
    ]  # fmt: skip
    by_id = {cell.id: cell for cell in made}
    assert by_id["dom0-bad@rack1=b2"].board == "b2"
    assert by_id["native-old@rack1"].board == ""
    assert control_of(by_id["native-old@rack1"], made) is None
    placed = replace(by_id["native-old@rack1"], board="b2")
    assert control_of(placed, made) == by_id["dom0-bad@rack1=b2"]
    chosen = ids(select(made, ["native-old@rack1"]))
    assert chosen == ["native-old@rack1", "dom0-bad@rack1=b1", "dom0-bad@rack1=b2"]
    assert ids(select(made, ["dom0-bad@rack1"])) == ["dom0-bad@rack1=b1", "dom0-bad@rack1=b2"]


def test_one_of_several_boards_can_be_named() -> None:
    loaded = on_hosts(parse(POOL + EXPECT, HERE), ["rack1=b2"])
    found = {cell.id: cell.board for cell in cells(loaded) if cell.kernel == "bad"}
    assert found == {"native-bad@rack1=b2": "b2", "dom0-bad@rack1=b2": "b2"}
    with pytest.raises(UserError, match="'rack1=b9' is not under 'hosts:'"):
        on_hosts(loaded, ["rack1=b9"])


def test_a_host_of_several_boards_is_written_and_read_again() -> None:
    loaded = parse(POOL + EXPECT, HERE)
    assert LabConfig.model_validate(loaded.model_dump(mode="json")) == loaded
