# SPDX-License-Identifier: GPL-2.0-or-later
"""A summary is sent: to a command, by SMTP. What fails is a sentence, never the end of a night."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from lab.config.notify import MailConfig, NotifyConfig
from lab.config.password import read_password
from lab.console.text import clean
from lab.errors import UserError

_PATIENCE_SECONDS = 60.0
_WIDEST = 150  # characters of a subject


def notify(config: NotifyConfig, subject: str, text: str, as_expected: bool = True) -> list[str]:
    """Send; returns a sentence for each way that failed. ``as_expected``: of what is summed up."""
    if as_expected and config.when == "unexpected":
        return []
    problems = []
    if config.command is not None:
        problems.append(_run(config.command, text))
    if config.mail is not None:
        problems.append(_send(config.mail, write_mail(config.mail, subject, text)))
    return [problem for problem in problems if problem]


def _run(words: list[str], text: str) -> str:
    try:
        done = subprocess.run(
            words, input=text.encode(), capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"notify.command: {words[0]} took more than {_PATIENCE_SECONDS:.0f} s"
    except OSError as error:
        return f"notify.command: {words[0]} cannot be run ({error.strerror})"
    if done.returncode == 0:
        return ""
    said = clean(done.stderr or done.stdout).strip().splitlines()
    return f"notify.command: {words[0]} failed ({done.returncode}){': ' + said[-1] if said else ''}"


def write_mail(config: MailConfig, subject: str, text: str) -> EmailMessage:
    """The message; a subject is one line, whatever is in it."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(clean(subject.encode(errors="replace")).split())[:_WIDEST]
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="xen-fpu-lab")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail


def _send(config: MailConfig, mail: EmailMessage) -> str:
    where = f"notify.mail: {config.server} port {config.port_number}"
    try:
        with _connect(config) as server:
            if config.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            password = read_password(config, "notify.mail")
            if password is not None:
                server.login(str(config.user), password)
            refused = server.send_message(mail)
    except (OSError, smtplib.SMTPException, UserError) as error:
        return f"{where}: {' '.join(str(error).split()) or type(error).__name__}"
    return f"{where}: refused {', '.join(refused)}" if refused else ""


def _connect(config: MailConfig) -> smtplib.SMTP:
    if config.security == "tls":
        return smtplib.SMTP_SSL(
            config.server, config.port_number, timeout=_PATIENCE_SECONDS,
            context=ssl.create_default_context(),
        )  # fmt: skip
    return smtplib.SMTP(config.server, config.port_number, timeout=_PATIENCE_SECONDS)
