# SPDX-License-Identifier: GPL-2.0-or-later
"""A password, read at the moment at which it is used."""

from __future__ import annotations

import os
import stat

from lab.config.secret import Login
from lab.errors import UserError

_MOST = 4096  # bytes of a password file; more is some other file


def read_password(login: Login, where: str) -> str | None:
    """The login's password; None where it names none. ``where``: its key in lab.yaml.

    UserError when the file is not there, is empty or can be read by others, or when the variable
    is not set. No message has any of the content in it.
    """
    if login.password_env is not None:
        value = os.environ.get(login.password_env)
        if not value:
            raise UserError(
                f"{where}.password_env: the environment has no {login.password_env}; "
                "set it to the password"
            )
        return value
    return _read_file(login, where) if login.password_file is not None else None


def _read_file(login: Login, where: str) -> str:
    path = login.password_file
    assert path is not None
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            content = file.read(_MOST + 1)
    except OSError as error:
        raise UserError(
            f"{where}.password_file: {path} cannot be read ({error.strerror}); "
            "it should hold the password alone"
        ) from None
    if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"{where}.password_file: others may read or write {path}; `chmod 600` it")
    text = content.decode("utf-8", errors="replace").rstrip("\r\n")
    if not text or len(content) > _MOST or "\n" in text:
        raise UserError(f"{where}.password_file: {path} should hold one line, the password alone")
    return text
