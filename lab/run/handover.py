# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab export`, and `lab verify` of what it made: a run handed over as one file."""

from __future__ import annotations

from pathlib import Path

from lab.errors import LabError, UserError
from lab.evidence.archive import SUFFIX, Unpacked, export, unpack
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.terminal import Terminal
from lab.run.verify import verify
from lab.system.files import shorten
from lab.system.scratch import open_scratch
from lab.system.signature import check


def export_run(path: Path, key: Path | None, output: Path | None) -> int:
    """Write the archive and say what to do with it."""
    run = RunFolder.open(path)
    output = (output or Path(f"{run.path.name}{SUFFIX}")).absolute()
    if output.is_relative_to(run.path):
        raise UserError(f"{output}: is inside the run; name another place by -o")
    try:
        size = export(run, output, key)
    except OSError as error:
        raise LabError(f"{output}: cannot be written ({error.strerror or error})") from None
    terminal = Terminal()
    signed = f", signed with {key}" if key is not None else ""
    terminal.say(f"{shorten(output)}, {size / (1 << 20):.1f} MiB{signed}")
    signers = " --signer PUBLIC_KEY" if key is not None else ""
    terminal.say(f"check it  lab verify {shorten(output)}{signers}")
    return Exit.OK


def verify_archive(path: Path, signer: Path | None) -> int:
    """Unpack, check the signature, and derive every verdict again; 4 where anything is wrong."""
    with open_scratch("verify") as folder:
        found = unpack(path, folder)
        terminal = Terminal()
        problem = _check_signature(found, signer, terminal)
        if problem:
            terminal.say(f"DOES NOT HOLD: {problem}")
            return Exit.LAB_ERROR
        return verify(found.folder)


def _check_signature(found: Unpacked, signer: Path | None, terminal: Terminal) -> str:
    """Say who signed; returns what is wrong, empty when nothing is."""
    if found.signature is None:
        if signer is not None:
            return "the archive is not signed"
        terminal.say("not signed: the hashes say only that the archive is whole")
        return ""
    try:
        said = check(found.listed, found.signature, signer)
    except LabError as error:
        return f"the signature is not good: {error}"
    terminal.say(said)
    if signer is None:
        terminal.say("whose key that is was not checked; --signer FILE checks it")
    return ""
