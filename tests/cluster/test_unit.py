# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit of systemd for a worker: that systemd understands it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.nightly.install import check_units
from tests.helpers.project import PROJECT

UNIT = PROJECT / "contrib" / "xen-fpu-lab-worker.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_workers_unit(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/xen-fpu-lab/.venv/bin/lab", "/bin/true")
    path = tmp_path / UNIT.name
    path.write_text(text)
    said: list[str] = []
    check_units([path], said.append)
    assert said == []
    path.write_text(text.replace("Restart=always", "Restart=sometimes"))
    with pytest.raises(LabError, match="systemd-analyze verify: "):
        check_units([path], print)
