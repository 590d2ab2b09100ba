# SPDX-License-Identifier: GPL-2.0-or-later
"""`release:`, `mirror:` and `keyring:` of lab.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.cli.run import _load
from lab.config.kernel import KERNEL_ORG, is_release
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.errors import UserError


def load(text: str) -> LabConfig:
    return parse(f"kernels: {{k: {{release: 3.19.8}}}}\n{text}", Path("/there/lab.yaml"))


def test_which_words_are_releases() -> None:
    for word in ("2.6.32", "2.6.32.71", "3.2", "3.19.8", "4.14.336", "6.1", "10.2.3"):
        assert is_release(word)
    for word in ("v3.2", "2.6", "2.4.37", "3", "3.2-rc1", "3.2.1.1", "./3.2", "linux-3.2", "03.2"):
        assert not is_release(word)


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ("release: 3.10", r"is written in quotes, '3\.10': YAML reads 3\.1 here"),
        ("release: 5", "YAML reads 5 here"),
        ("release: v3.10", "'v3.10' is not a release of Linux: 2.6.32, 3.2 or 3.19.8 would be"),
        ("release: '3.2', rev: v3.2", "'rev' belongs to a 'tree': a release is named by its"),
        ("release: '3.2', tree: /x", "exactly one of .*; here tree and release"),
        ("image: x, patches: [x]", "'patches' belongs to a 'tree'"),
    ],
)
def test_a_wrong_release_is_one_sentence(kernel: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(f"kernels: {{k: {{{kernel}}}}}", Path("lab.yaml"))


def test_mirrors_are_addresses_or_folders_from_the_files_own() -> None:
    assert load("").mirrors == (KERNEL_ORG,)
    assert load("mirror: mine").mirrors == ("/there/mine",)
    several = load("mirror: [/a/b, 'https://host/linux/', 'file:///c']\nkeyring: keys.gpg")
    assert several.mirrors == ("/a/b", "https://host/linux", "file:///c")
    assert several.keyring == Path("/there/keys.gpg")
    for wrong in ("ftp://host/x", "[]", "''", "'https://'", "'file:x'"):
        with pytest.raises(UserError, match="mirror"):
            load(f"mirror: {wrong}")


def test_a_plan_uses_the_mirror_of_lab_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _load(Path("lab.yaml"), plan="mainline")[1].mirrors == (KERNEL_ORG,)
    text = "mirror: mine\nkeyring: keys.gpg\nkernels: {k: {control: bad}}\n"
    (tmp_path / "lab.yaml").write_text(text)
    loaded = _load(Path("lab.yaml"), plan="mainline")[1]
    assert loaded.mirrors == (str(tmp_path / "mine"),)
    assert loaded.keyring == tmp_path / "keys.gpg"
    assert "k" not in loaded.kernels


def test_the_plan_of_mainline_has_an_expectation_for_each_cell() -> None:
    done = CliRunner().invoke(app, ["plan", "--plan", "mainline"], catch_exceptions=False)
    assert done.exit_code == 0
    rows = [line for line in done.output.splitlines() if "-control-" not in line and "-" in line]
    assert len(rows) > 30
    assert all("expect " in line for line in rows), rows
