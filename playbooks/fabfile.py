# SPDX-License-Identifier: GPL-2.0-or-later
"""`fab -r playbooks -H HOST TASK`: the playbooks by hand."""

from playbooks.board import prepare_board, restore
from playbooks.collect import evidence
from playbooks.prepare import install

__all__ = ["evidence", "install", "prepare_board", "restore"]
