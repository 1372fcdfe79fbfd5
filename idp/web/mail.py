"""Mail by SMTP: hands over one letter, as text and HTML. What waits to be sent is the business of sso/letter.py."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, TemplateSyntaxError

from idp.clock import Now
from idp.errors import ConfigError
from idp.settings import Duration, PathSetting, SecretSetting, Settings
from idp.sso.letter import Letter, Undeliverable

Render = Callable[[str, Mapping[str, Any]], str]
"""A template by its name, with these values."""


class MailSettings(Settings):
    """[mail]: the server that sends our mail."""

    host: str = ""
    """Name of the SMTP server; without it, no mail is sent."""
    port: int = 587
    """Its port."""
    starttls: bool = True
    """Encrypts the connection, with a certificate that is checked; without it only on this machine or in a closed network."""
    username: str = ""
    """User name there, if it wants one."""
    password: SecretSetting | None = None
    """Its password, by reference."""
    sender: str = ""
    """Address in From, such as "login@example.org"."""
    timeout: Duration = 10
    """Seconds for each step."""
    templates: PathSetting | None = None
    """Folder of the association's own letters: reset.txt, reset.html and so on, in place of ours of the same name; see deploy/imis.md."""


def mail_renderer(pages: Environment, folder: Path | None) -> Render:
    """Letters from `folder`, and from our own templates where it has none. Raises ConfigError for one that cannot be read as a template."""
    if folder is None:
        return lambda template, values: pages.get_template(template).render(values)
    own = PrefixLoader({"mail": FileSystemLoader(folder)})
    letters = pages.overlay(loader=ChoiceLoader([own, *([pages.loader] if pages.loader else [])]))
    problems = [problem for name in own.list_templates() if name.endswith((".txt", ".html")) and (problem := _problem(letters, name))]
    if not folder.is_dir():
        problems.append(f"mail.templates: {folder} is no folder")
    if problems:
        raise ConfigError(problems)
    return lambda template, values: letters.get_template(template).render(values)


def check_letters(folder: Path | None) -> None:
    """Whether the association's own letters can be read. Raises ConfigError."""
    mail_renderer(Environment(autoescape=True), folder)


def _problem(letters: Environment, name: str) -> str:
    try:
        letters.get_template(name)
    except TemplateSyntaxError as error:
        return f"mail.templates: {name.removeprefix('mail/')}, line {error.lineno}: {error.message}"
    except UnicodeDecodeError:
        return f"mail.templates: {name.removeprefix('mail/')} is not UTF-8"
    return ""


@contextmanager
def mail_session(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    """The mail server, encrypted and let in as the settings want. Raises what SMTP and sockets raise."""
    with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout) as server:
        if settings.starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.username and settings.password:
            server.login(settings.username, settings.password.reveal())
        yield server


class Mailer:
    """Writes a letter out of its template, and hands it to the mail server."""

    def __init__(self, settings: MailSettings, *, house: str, render: Render, now: Now) -> None:
        self._settings = settings
        self._house = house
        self._render = render
        self._now = now

    def send(self, letter: Letter) -> None:
        """Raises Undeliverable where no other try would help, and whatever else SMTP and sockets raise where one may."""
        try:
            self._send(self._compose(letter))
        except ValueError:  # UnicodeError is one
            raise Undeliverable("mail.address_invalid") from None
        except smtplib.SMTPRecipientsRefused as error:
            if all(code >= 500 for code, _ in error.recipients.values()):  # RFC 5321 §4.2.1: never
                raise Undeliverable("mail.recipient_refused") from None
            raise

    def _compose(self, letter: Letter) -> EmailMessage:
        """Raises ValueError for an address that could break out of its header."""
        message = EmailMessage()
        lines = self._rendered(letter, "txt").strip().splitlines()
        message["Subject"] = lines[0].removeprefix("Subject: ")
        message["From"] = Address(self._house, addr_spec=self._settings.sender)
        message["To"] = Address(addr_spec=letter.to)
        message["Date"] = format_datetime(datetime.fromtimestamp(self._now(), UTC))
        message["Message-ID"] = make_msgid(domain=self._settings.sender.partition("@")[2] or "localhost")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        message.set_content("\n".join(lines[1:]).strip() + "\n")
        message.add_alternative(self._rendered(letter, "html"), subtype="html")
        return message

    def _rendered(self, letter: Letter, form: str) -> str:
        values: dict[str, Any] = {**letter.values, "house": self._house}
        return self._render(f"mail/{letter.template}.{form}", values)

    def _send(self, message: EmailMessage) -> None:
        with mail_session(self._settings) as server:
            server.send_message(message)
