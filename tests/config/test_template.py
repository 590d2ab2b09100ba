# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.load import load, schema_text
from lab.config.template import template_text, write_template
from lab.errors import UserError
from tests.helpers.project import PROJECT


def test_the_template_is_the_projects_own_configuration(tmp_path: Path) -> None:
    write_template(tmp_path, force=False)
    assert load(tmp_path / "lab.yaml") == load(PROJECT / "lab.yaml")
    first = (tmp_path / "lab.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=lab.schema.json"
    assert (tmp_path / "lab.schema.json").read_text() == schema_text()


def test_a_patch_that_an_example_names_is_found_from_any_folder() -> None:
    line = next(line for line in template_text().splitlines() if "patches: [" in line)
    assert Path(line.split("[")[1].rstrip("]")).is_file()


def test_a_configuration_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"lab.yaml: exists already; `lab init --force`"):
        write_template(tmp_path, force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["lab.yaml"]
    write_template(tmp_path, force=True)
    assert (tmp_path / "lab.yaml").read_text() == template_text()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written to"):
        write_template(tmp_path / "none", force=False)
