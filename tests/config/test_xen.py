# SPDX-License-Identifier: GPL-2.0-or-later
"""What lab.yaml may say of hypervisors."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import cells
from lab.config.load import parse
from lab.errors import UserError
from tests.helpers.hostkeys import ED25519
from tests.helpers.project import PROJECT

HERE = Path("/somewhere/lab.yaml")
TWO = PROJECT / "plans" / "two-fixes.yaml"
BASE = """
xens:
  mine: {source: xen, patches: [a.patch], args: vcpu_migration_delay=1}
  other: {file: xen.gz}
kernels:
  old: {image: old.bzImage}
variations:
  on-mine: {xen: mine}
"""


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        cells(parse(text, HERE))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_paths_are_relative_to_the_file() -> None:
    config = parse(BASE, HERE)
    assert config.xens["mine"].patches == [Path("/somewhere/a.patch")]
    assert config.xens["other"].file == Path("/somewhere/xen.gz")
    assert config.xen.packaged
    assert not config.xens["mine"].packaged


def test_a_variation_brings_its_xen_to_a_cell() -> None:
    plan = cells(parse(BASE + "matrix: {guests: [pv], variations: [plain, on-mine]}", HERE))
    assert [(cell.id, cell.xen) for cell in plan] == [("pv-old", ""), ("pv-old~on-mine", "mine")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xens: {a: {file: x, source: xen}}", "xens.a: a hypervisor is from one of file, source"),
        ("xen: {patches: [a.patch]}", "'patches' need a 'source' or 'tree'"),
        ("xen: {options: [CONFIG_PV32=y]}", "'options' need a 'source' or 'tree'"),
        ("xen: {source: xen, options: [PV32]}", "lines such as CONFIG_PV32=y"),
        ("xen: {source: xen, rev: v1}", "'rev' is a revision of a 'tree'"),
        ("variations: {v: {xen: none}}", "variations.v.xen: 'none' is not under 'xens:'"),
        ("xens: {a: {sources: xen}}", "unknown key 'sources'; did you mean 'source'?"),
        ("xens: {'a b': {source: xen}}", "'a b' is not a name"),
        ("xens: {a: {file: x}}\nvariations: {v: {xen: a}}\n"
         "matrix: {guests: [native], variations: [v]}", "a native cell has no Xen"),
        ("xens: {a: {file: x}}\nvariations: {v: {xen: a}}\nmatrix: {guests: [pv], variations: [v]}"
         f"\nhost: {{kind: real, address: a, host_key: ssh-ed25519 {ED25519}}}",
         "does not change the Xen of a real host"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    assert words in refusal(f"{text}\nkernels: {{old: {{image: old.bzImage}}}}")


def test_the_plan_of_the_two_fixes_has_an_expectation_for_every_cell() -> None:
    plan = cells(parse(TWO.read_text(), TWO))
    assert all(cell.expect for cell in plan)
    assert {cell.xen for cell in plan} == {"", "rebuilt", "ts-set"}
    config = parse(TWO.read_text(), TWO)
    assert all(path.is_file() for entry in config.xens.values() for path in entry.patches)
