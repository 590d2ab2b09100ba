# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from lab.cli.replay import _shifts
from lab.errors import UserError


def test_shifts() -> None:
    assert _shifts("1, 2") == [1, 2]
    for wrong in ("", "1,,2", "11", "-1", "x"):
        with pytest.raises(UserError, match="--shifts"):
            _shifts(wrong)
