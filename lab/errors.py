# SPDX-License-Identifier: GPL-2.0-or-later
"""The two families of errors: the user's, and the laboratory's.

A guest that crashes or corrupts is neither: it is a verdict (``lab.verdict.severity``).
"""

from __future__ import annotations


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong, where, what would be right.

    The command line prints it and exits with 2; nothing has been half-done.
    """


class LabError(Exception):
    """Our fault or the host's: QEMU died, a download failed, the disk is full.

    Inside a trial it becomes the verdict LAB_ERROR; outside one it exits with 4.
    The message says what happened and, after a colon, where to look.
    """
