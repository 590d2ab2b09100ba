# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab validate`: from arguments to exit code."""

from __future__ import annotations

from pathlib import Path

from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.supplies.feasible import check_input
from lab.validate.course import FILE, run_rounds
from lab.validate.request import Request, Subject, fit_patch, names_of, subject_of


def validate(config: LabConfig, path: Path, request: Request, results: Path, repeat: str) -> int:
    """The whole command; returns its exit code."""
    names = names_of(request, config)
    for host in dict.fromkeys(before.partition("@")[2] for _, before, _ in names):
        on_it = [before for _, before, _ in names if before.partition("@")[2] == host]
        check_input(config, [before.partition("-")[0] for before in on_it], host)
    patches = fit_patch(request)
    folder = RunFolder.create(results)
    subject = subject_of(config, request, names, patches, folder)
    folder.write_text("lab.yaml", path.read_text())
    folder.write(FILE, {"repeat": repeat, "title": subject.title, "names": subject.names,
                         "notes": subject.notes, "facts": subject.facts})  # fmt: skip
    folder.write("validate-config.json", subject.config.model_dump(mode="json"))
    return run_rounds(folder, subject, repeat)


def resume(path: Path) -> int:
    """`lab validate --resume`: continue the rounds; finished boots stay."""
    folder = RunFolder(path.resolve())
    if not (folder.path / FILE).is_file():
        raise UserError(f"{path}: is not a folder of `lab validate` (it has no {FILE})")
    known = folder.read(FILE)
    config = LabConfig.model_validate(folder.read("validate-config.json"))
    names = [(name, before, after) for name, before, after in known["names"]]
    subject = Subject(known["title"], config, names, tuple(known["notes"]), known["facts"])
    return run_rounds(folder, subject, str(known["repeat"]))
