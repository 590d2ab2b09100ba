# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the checkout is whose tests these are."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
