# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration to cells: ids, rules, expectations, controls, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import cells, select
from lab.config.lab import LabConfig
from lab.config.load import json_schema, load, parse
from lab.errors import UserError
from tests.helpers.project import PROJECT

HERE = Path("/somewhere/lab.yaml")
BASE = """
kernels:
  old: {image: old.bzImage, args: slab_nomerge}
  control-bad: {control: bad}
variations:
  2vcpu: {vcpus: 2, args: nohz=off}
expect:
  corrupts: [dom0-control-bad, pv-control-bad]
"""


def config(text: str = "") -> LabConfig:
    return parse(BASE + text, HERE)


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        cells(parse(text, HERE))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_default_file_makes_kernels_times_guests() -> None:
    plan = cells(load(PROJECT / "lab.yaml"))
    assert len(plan) == 15
    assert [c.id for c in plan if c.is_control] == ["dom0-control-bad", "pv-control-bad"]
    assert all(c.expect for c in plan)


def test_paths_are_relative_to_the_file() -> None:
    assert config().kernels["old"].image == Path("/somewhere/old.bzImage")


def test_include_and_exclude() -> None:
    plan = cells(config("matrix: {include: [pv-old~2vcpu], exclude: ['hvm-*']}"))
    assert len(plan) == 9
    varied = plan[-1]
    assert (varied.id, varied.vcpus, varied.args) == ("pv-old~2vcpu", 2, "slab_nomerge nohz=off")


def test_a_selection_brings_the_control_of_its_kind() -> None:
    chosen = select(cells(config()), ["pv-old"])
    assert [(c.id, c.added_as_control) for c in chosen] == [
        ("pv-old", False),
        ("pv-control-bad", True),
    ]


def test_a_kind_without_control_takes_the_cheapest() -> None:
    assert select(cells(config()), ["native-old"])[-1].id == "dom0-control-bad"


def test_a_control_needs_no_other() -> None:
    assert len(select(cells(config()), ["dom0-control-bad"])) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernels: {a: {control: bad}}\nkernels: {b: {control: bad}}", "appears twice"),
        ("kernels: {a: {imag: x}}", "did you mean 'image'"),
        ("kernels: {a: {}}", "exactly one of image, package, deb, control"),
        ("kernels: {a: {image: x, deb: y}}", "here image and deb"),
        ("kernels: {'a~b': {control: bad}}", "is not a name"),
        ("kernels: {a: {control: worse}}", "kernels.a.control"),
        ("kernels: {a: {control: bad, args: 'x\\ny'}}", "kernels"),
        ("kernels: {a: {control: bad}}\nhoost: {}", "did you mean 'host'"),
        ("kernels: {a: {control: bad}}\ntrials: 0", "trials"),
        ("kernels: {a: {control: bad}}\nhost: {kind: real}", "address"),
        ("kernels: {a: {control: bad}}\nstress: {settings: {opener: 1}}", "openers"),
        ("kernels: {a: {control: bad}}\nexpect: {clean: [pv-b]}", "matches no cell"),
        ("kernels: {a: {control: bad}}\nknown: {pv-b: a bug}", "known: 'pv-b' matches no cell"),
        ("kernels: {a: {control: bad}}\nkeep: {nights: 0}", "keep.nights"),
        ("kernels: {a: {control: bad}}\nmatrix: {include: [xen-a]}", "not a cell id"),
        ("kernels: {a: {control: bad}}\nmatrix: {include: [pv-b]}", "not under 'kernels:'"),
        ("kernels: {a: {control: bad}}\nmatrix: {exclude: ['*']}", "no cell left"),
        (
            "kernels: {a: {control: bad}}\nexpect: {clean: ['*'], corrupts: [pv-a]}",
            "under 'clean' and 'cor",
        ),
        ("kernels: [", "lab.yaml:"),
        ("- a", "should be a mapping"),
        ("", "should be a mapping"),
    ],
)
def test_bad_input_is_one_sentence_that_names_it(text: str, words: str) -> None:
    assert words in refusal(text)


def test_the_committed_schema_is_the_current_one() -> None:
    import json

    committed = json.loads((PROJECT / "lab.schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema()))
