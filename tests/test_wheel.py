# SPDX-License-Identifier: GPL-2.0-or-later
"""What a wheel of the lab holds, and that an installed lab finds it."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from lab import __version__
from lab.gdb.program import Session, argv
from lab.supplies.program import build_cached
from lab.system import project
from tests.helpers.project import PROJECT
from tests.helpers.wheel import build_wheel, tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_all_data_is_in_it_and_as_it_is(wheel: Path) -> None:
    files = tracked("images", "plans", "repro", "lab.yaml", "packages.txt")
    assert len(files) > 50
    with zipfile.ZipFile(wheel) as archive:
        for name in files:
            assert archive.read(f"lab/_data/{name}") == (PROJECT / name).read_bytes()


def test_all_modules_are_in_it_and_nothing_else(names: set[str]) -> None:
    modules = {*tracked("lab", "playbooks")}
    data = {f"lab/_data/{name}" for name in tracked("images", "plans", "repro")}
    data |= {"lab/_data/lab.yaml", "lab/_data/packages.txt"}
    assert {name for name in names if ".dist-info/" not in name} == modules | data


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"xen_fpu_lab-{__version__}-")
    about = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert about["dynamic"] == ["version"]
    assert "version" not in about


def test_a_checkout_has_its_data_where_it_lies() -> None:
    assert not project.INSTALLED
    assert project.data("images", "kconfig") == PROJECT / "images" / "kconfig"
    assert project.PYTHON_PATH == PROJECT


def test_the_program_is_built_once_into_the_cache_from_read_only_source(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "repro"
    source.mkdir()
    (source / "Makefile").write_text(
        "all:\n\tmkdir build\n\techo built >build/mmxstress64\n\techo 1 >>$(LOG)\n"
    )
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    source.chmod(0o555)
    found = {build_cached(source) for _ in range(2)}
    (folder,) = found
    assert folder.parent == cache / "program"
    assert (folder / "build" / "mmxstress64").read_text() == "built\n"
    assert (tmp_path / "log").read_text() == "1\n"
    source.chmod(0o755)
    (source / "new.c").touch()
    assert build_cached(source) != folder


def test_gdb_is_shown_the_lab_and_no_other_package(tmp_path: Path) -> None:
    words = argv(Session("gdb", [tmp_path], tmp_path, tmp_path))
    (line,) = [word for word in words if word.startswith("python ")]
    path = re.escape(repr(str(PROJECT)))
    assert re.search(rf"sys\.path\.insert\(0, {path}\); .*; sys\.path\.remove\({path}\);", line)
