# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is sent the summary of a night: `notify:` of lab.yaml (docs/reports.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from lab.config.model import Model
from lab.config.secret import Login, check_words

_ADDRESS = re.compile(r"[^\s<>@,;\"]+@[^\s<>@,;\"]+")


class MailConfig(Login):
    """By SMTP. ``security``: starttls and tls check the server's certificate."""

    server: str = Field(min_length=1, description="The SMTP server's name or address.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Null: 25; 587 with starttls, 465 with tls."
    )
    security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="none only for a server on this machine or a network you trust."
    )
    sender: str = Field(description="The address that it is from.")
    to: list[str] = Field(min_length=1, description="The addresses that it goes to.")

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, value: str | list[str]) -> str | list[str]:
        for address in [value] if isinstance(value, str) else value:
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} is not a mail address such as lab@example.org")
        return value

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> MailConfig:
        if self.has_password and self.security == "none":
            raise ValueError("would send a password unencrypted: use security: starttls or tls")
        return self

    @property
    def port_number(self) -> int:
        """The port, by default that of the security."""
        return self.port or {"none": 25, "starttls": 587, "tls": 465}[self.security]


class NotifyConfig(Model):
    """What is done with a summary: a command, a mail, or both."""

    command: list[str] | None = Field(
        None, description="A program and its words, without a shell; the summary is its input."
    )
    mail: MailConfig | None = None
    when: Literal["always", "unexpected"] = Field(
        "always", description="unexpected: only when something is not as it should be."
    )

    @field_validator("command")
    @classmethod
    def _words(cls, value: list[str] | None) -> list[str] | None:
        return value if value is None else check_words(value)

    def absolute(self, base: Path) -> NotifyConfig:
        """The same with the password's file made absolute, from the configuration's folder."""
        if self.mail is None or self.mail.password_file is None:
            return self
        file = base / self.mail.password_file.expanduser()
        mail = self.mail.model_copy(update={"password_file": file})
        return self.model_copy(update={"mail": mail})
