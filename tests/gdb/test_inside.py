# SPDX-License-Identifier: GPL-2.0-or-later
"""What gdb's own Python imports of the lab: it has the standard library and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.project import PROJECT

# -S: no site-packages. A module of gdb's name stands in for what gdb itself provides.
_PROGRAM = """
import sys, types
gdb = types.ModuleType("gdb")
gdb.Command = gdb.Function = type("Base", (), {})
sys.modules["gdb"] = gdb
sys.path.insert(0, sys.argv[1])
import lab.gdb.inside
print(*sorted(name for name in sys.modules if name.split(".")[0] == "lab"))
print(*(name for name in sys.modules if "site-packages" in str(
    getattr(sys.modules[name], "__file__", ""))))
"""


def test_only_the_standard_library_and_what_of_the_lab_needs_no_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PROGRAM, str(PROJECT)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, others = done.stdout.split("\n")[:2]
    assert ours.split() == ["lab", "lab.gdb", "lab.gdb.inside", "lab.trace", "lab.trace.event"]
    assert others == ""
