# SPDX-License-Identifier: GPL-2.0-or-later
"""A summary is sent by a command and to a real SMTP server on this machine."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from lab.config.load import parse
from lab.config.notify import MailConfig, NotifyConfig
from lab.errors import UserError
from lab.report.notify import notify, write_mail

TEXT = "Night: 2 of 3 cells\n\n.a line that begins with a dot\nümlaut ✗\n"


class Inbox:
    """Keeps what it gets; refuses one address."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    handler = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield handler, port
    finally:
        controller.stop()


def mail_to(port: int, *to: str) -> NotifyConfig:
    mail = MailConfig(
        server="127.0.0.1", port=port, security="none", sender="lab@example.org", to=list(to)
    )
    return NotifyConfig(mail=mail)


def test_a_mail_arrives_as_it_was_written(inbox: tuple[Inbox, int]) -> None:
    handler, port = inbox
    config = mail_to(port, "a@example.org", "b@example.org")
    assert notify(config, "Night: bad\nBcc: c@example.org", TEXT) == []
    ((to, mail),) = handler.mails
    assert to == ["a@example.org", "b@example.org"]
    assert mail["Subject"] == "Night: bad Bcc: c@example.org"
    assert mail["Bcc"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == TEXT


def test_an_address_that_is_refused_is_named_and_the_others_get_it(
    inbox: tuple[Inbox, int],
) -> None:
    handler, port = inbox
    (problem,) = notify(mail_to(port, "nobody@example.org", "a@example.org"), "x", TEXT)
    assert problem == f"notify.mail: 127.0.0.1 port {port}: refused nobody@example.org"
    assert len(handler.mails) == 1


def test_a_server_that_has_no_encryption_gets_no_mail(inbox: tuple[Inbox, int]) -> None:
    handler, port = inbox
    config = mail_to(port, "a@example.org")
    assert config.mail is not None
    secure = config.mail.model_copy(update={"security": "starttls"})
    (problem,) = notify(config.model_copy(update={"mail": secure}), "x", TEXT)
    assert "STARTTLS" in problem
    assert handler.mails == []


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    (problem,) = notify(mail_to(1, "a@example.org"), "x", TEXT)
    assert problem.startswith("notify.mail: 127.0.0.1 port 1: ")


def test_a_command_gets_the_summary_and_no_shell(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    target = tmp_path / "$(touch x); got"
    config = NotifyConfig(command=[sys.executable, "-c", script, str(target)])
    assert notify(config, "x", TEXT) == []
    assert target.read_text() == TEXT
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_command_that_fails_is_a_sentence() -> None:
    script = "import sys; print('\\x1b[31mno such list', file=sys.stderr); sys.exit(3)"
    (problem,) = notify(NotifyConfig(command=[sys.executable, "-c", script]), "x", TEXT)
    assert problem.endswith("failed (3): no such list")
    (problem,) = notify(NotifyConfig(command=["/nowhere/x"]), "x", TEXT)
    assert problem == "notify.command: /nowhere/x cannot be run (No such file or directory)"


def test_only_what_is_unexpected_where_that_is_asked_for() -> None:
    config = NotifyConfig(command=["/nowhere/x"], when="unexpected")
    assert notify(config, "x", TEXT, as_expected=True) == []
    assert len(notify(config, "x", TEXT, as_expected=False)) == 1


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("mail: {server: s, sender: lab, to: [a@b]}", "'lab' is not a mail address"),
        ("mail: {server: s, sender: a@b, to: []}", "at least 1 item"),
        ("mail: {server: s, sender: a@b, to: [a@b], password: x}", "does not belong into this"),
        (
            "mail: {server: s, sender: a@b, to: [a@b], user: u, password_env: P, security: none}",
            "would send a password unencrypted",
        ),
        ("command: []", "should be a list of words"),
        ("command: mail me", "valid list"),
        ("whenn: always", "unknown key 'whenn'"),
    ],
)
def test_a_mistake_is_one_sentence(lines: str, problem: str, tmp_path: Path) -> None:
    text = f"kernels: {{x: {{image: x}}}}\nnotify: {{{lines}}}\n"
    with pytest.raises(UserError, match=problem) as raised:
        parse(text, tmp_path / "lab.yaml")
    assert "notify" in str(raised.value)


def test_the_password_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    text = (
        "kernels: {x: {image: x}}\n"
        "notify: {mail: {server: s, sender: a@b, to: [a@b], user: u, password_file: secret}}\n"
    )
    mail = parse(text, tmp_path / "lab.yaml").notify.mail
    assert mail is not None
    assert mail.password_file == tmp_path / "secret"
    assert mail.port_number == 587
    config = NotifyConfig(mail=mail.model_copy(update={"server": "127.0.0.1", "port": 1}))
    (problem,) = notify(config, "x", TEXT)
    assert problem.startswith("notify.mail: 127.0.0.1 port 1: ")


def test_a_subject_is_one_line() -> None:
    mail = MailConfig(server="s", sender="a@b", to=["a@b"], security="none")
    subject = str(write_mail(mail, "a\r\nb\x1b[31m " + "c" * 500, "")["Subject"])
    assert subject.startswith("a b c")
    assert len(subject) <= 150
