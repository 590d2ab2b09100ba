# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab's exit codes mean: the one table of them (docs/commands.md, `lab --help`)."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Each code has one meaning, in every command. 1 is left to shells and Python."""

    OK = 0
    BAD_INPUT = 2
    VACUOUS = 3
    LAB_ERROR = 4
    CRASHED = 5
    CORRUPTS = 6
    CLAIM_FAILS = 7
    REPLAY_DIFFERS = 8
    PATCH_BREAKS = 9
    BUSY = 10
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "everything is as it should be",
    Exit.BAD_INPUT: "bad input; nothing was started",
    Exit.VACUOUS: "VACUOUS: it proves nothing, whatever it showed",
    Exit.LAB_ERROR: "LAB_ERROR: a fault of the lab, its host or its evidence",
    Exit.CRASHED: "CRASHED: a guest died or went silent",
    Exit.CORRUPTS: "CORRUPTS: registers leak where they should not, also with a patch under test",
    Exit.CLAIM_FAILS: "a claim does not hold",
    Exit.REPLAY_DIFFERS: "a replay differs from its capsule",
    Exit.PATCH_BREAKS: "a patch breaks what was clean or alive without it",
    Exit.BUSY: "another night is under way on this machine",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; --resume continues",
}
# `lab bisect-step` returns what git expects instead: 0 and 1 are the old and the new term.
GIT_SKIP = 125
GIT_ABORT = 129  # 128 and more end `git bisect run` without a mark
