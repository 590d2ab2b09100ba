# SPDX-License-Identifier: GPL-2.0-or-later
"""How lab.yaml names a password without holding it, and which words would hold one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from lab.config.model import Model

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words of common tools after which a password stands on the command line.
_GIVES_PASSWORD = {"ipmitool": "-P", "ipmipower": "-p", "sshpass": "-p"}
_REMEDY = "use password_file: or password_env:"


class Login(Model):
    """A user, and where the password is: in a file or in a variable of the environment."""

    user: str | None = Field(None, description="The user's name there.")
    password_file: Path | None = Field(
        None, description="A file with the password alone, readable by its owner only (mode 600)."
    )
    password_env: str | None = Field(
        None, description="The variable of the environment that holds the password."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_password(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise ValueError(f"a password does not belong into this file: {_REMEDY}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Login:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("has both password_file and password_env: name one of them")
        if self.password_env is not None and not _VARIABLE.fullmatch(self.password_env):
            raise ValueError("password_env should be a variable's name, such as RACK1_PASSWORD")
        if self.has_password and not self.user:
            raise ValueError("has a password but no 'user' that it belongs to")
        return self

    @property
    def has_password(self) -> bool:
        """Whether one is named; a password is read only where it is used."""
        return self.password_file is not None or self.password_env is not None


def check_needed(login: Login) -> None:
    """ValueError unless a user and a password are named."""
    if not (login.user and login.has_password):
        raise ValueError("needs 'user' and one of password_file, password_env")


def check_words(words: list[str]) -> list[str]:
    """A command as it is; ValueError where it is empty or gives a password as a word."""
    if not words or not words[0].strip():
        raise ValueError("should be a list of words, the first one the program")
    if any("\0" in word for word in words):
        raise ValueError("has a zero byte in a word")
    for number, word in enumerate(words):
        option = _GIVES_PASSWORD.get(word.rsplit("/", 1)[-1])
        given = [w for w in words[number + 1 :] if option and w.startswith(option)]
        if given:
            raise ValueError(
                f"gives {word} a password by {option}, for everyone to read; let it read a file "
                "with mode 600 (ipmitool and sshpass: -f FILE)"
            )
    return words


def check_no_login(url: str) -> None:
    """ValueError when a URL carries a user or a password."""
    if "@" in urlsplit(url).netloc:
        raise ValueError(f"the URL has a user or a password in it: use user: and {_REMEDY[4:]}")
