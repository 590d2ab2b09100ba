# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab probe`: from arguments to exit code."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.probe import text
from lab.probe.course import Asked, add_args, ask, check, gather
from lab.probe.judge import Finding, exit_code, list_unexpected
from lab.probe.questions import Abi
from lab.report.terminal import Terminal
from lab.system.files import shorten
from lab.trial.job import Job

# As an hvm guest it reboots before its first record; why is not known (docs/probe.md).
_KINDS = tuple(kind for kind in GUEST_KINDS if kind != "hvm")
_USUAL: tuple[GuestKind, ...] = ("native", "dom0")  # a few seconds; the others need the host


def read_kinds(words: Sequence[str]) -> tuple[GuestKind, ...]:
    """Each once, in the usual order; UserError for a word that is not a kind."""
    for word in words:
        if word not in _KINDS:
            raise UserError(f"{word!r} is not a kind that the probe asks: {', '.join(_KINDS)}")
    return tuple(kind for kind in _KINDS if kind in words) if words else _USUAL


def read_expectation(word: str | None) -> Abi | None:
    """From `--expect clear` or `--expect set`."""
    known = {"clear": Abi.CLEAR, "set": Abi.SET}
    if word is not None and word not in known:
        raise UserError(f"--expect {word}: should be clear or set")
    return known[word] if word is not None else None


def probe(
    config: LabConfig, path: Path, asked: Asked, args: str, expect: Abi | None,
    results: Path, repeat: str,
) -> int:  # fmt: skip
    """The whole command; returns its exit code."""
    check(config, asked)
    config = add_args(config, asked.xen, args)
    terminal = Terminal()
    with terminal.progress():
        supplies = gather(config, asked, Terminal.board_only().board.state)
    folder = RunFolder.create(results)
    folder.write_text("lab.yaml", path.read_text())
    folder.write("config.json", config.model_dump(mode="json"))
    manifest = make_manifest(supplies.provenance(), repeat)
    folder.write("manifest.json", {**manifest, "probe": True})
    job = Job(config, supplies, folder, Terminal.board_only().board, threading.Event())
    began = time.monotonic()
    findings: list[Finding] = []
    try:
        ask(job, asked, findings.append)
    except KeyboardInterrupt:
        job.stop.set()
        _conclude(folder, findings)
        return Exit.INTERRUPTED
    _conclude(folder, findings)
    _say(terminal, findings, expect, time.monotonic() - began)
    terminal.say(f"evidence  {shorten(folder.path)}")
    terminal.say(f"check it  lab verify {shorten(folder.path)}")
    return exit_code(findings, expect)


def _conclude(folder: RunFolder, findings: Sequence[Finding]) -> None:
    folder.write_text("junit.xml", text.make_junit(findings))
    folder.write_text("summary.md", text.make_page("Xen asked directly", findings))
    folder.seal()


def _say(
    terminal: Terminal, findings: Sequence[Finding], expect: Abi | None, seconds: float
) -> None:
    for line in text.make_table(findings):
        terminal.say(line)
    terminal.say("")
    for finding in findings:
        terminal.say(text.say_finding(finding))
    if expect is not None:
        for kind in list_unexpected(findings, expect):
            terminal.say(f"not as expected: {kind} should have seen {expect.sentence}")
    terminal.say(f"\n{len(findings)} guests in {seconds:.1f} s")
