# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as it is installed: the wheel, made from what git tracks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.project import PROJECT


def tracked(*folders: str) -> list[str]:
    """The files of folders that git tracks, or would with the next commit, as paths below the
    checkout.
    """
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *folders]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if (PROJECT / name).is_file()]


def build_wheel(folder: Path) -> Path:
    """Built in a copy: setuptools leaves its traces beside the sources, and takes up old ones."""
    copy = folder / "source"
    for name in tracked("lab", "playbooks", "images", "plans", "repro", "*.*"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, copy / name)
    words = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(copy)]
    pip(sys.executable, *words)
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(python: str | Path, *words: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel in it; its `lab`.

    What the lab needs comes from the environment that the tests run in, whose own lab is not
    seen there: only the wheel's is.
    """
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip(python, "install", "-q", "--no-deps", "--no-index", str(wheel))
    purelib = _ask(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    others = _ask(sys.executable, "import sysconfig; print(sysconfig.get_path('purelib'))")
    # A folder that a .pth file names has its own .pth files left alone: no editable lab.
    (Path(purelib) / "others.pth").write_text(f"{others}\n")
    found = _ask(python, "import lab; print(lab.__file__)")
    assert Path(found) == Path(purelib) / "lab" / "__init__.py"
    return folder / "bin" / "lab"


def _ask(python: str | Path, program: str) -> str:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", program], cwd="/", env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
