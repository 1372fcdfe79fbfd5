"""Mail by SMTP, in the background: whoever asked for it learns nothing from how long it takes (S83). Each letter is text and HTML."""

from __future__ import annotations

import queue
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from idp.audit import Audit
from idp.clock import Now
from idp.errors import IdpError
from idp.settings import Duration, SecretSetting, Settings
from idp.sso.account import Letter

_MOST_WAITING = 200
Write = Callable[[], Iterable[Letter]]
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


class Mailer:
    """The `Outbox` of one process. Letters that wait are lost with the process; their readers ask again."""

    def __init__(self, settings: MailSettings, *, house: str, render: Render, audit: Audit, now: Now) -> None:
        self._settings = settings
        self._house = house
        self._render = render
        self._audit = audit
        self._now = now
        self._waiting: queue.Queue[Write] = queue.Queue(_MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def later(self, write: Write) -> None:
        """When too much waits already, it is dropped, and the log says so."""
        with self._lock:
            if self._thread is None:  # not before the first letter: a server forks its workers
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(write)
        except queue.Full:
            self._audit.record("mail.dropped", cause="mail.too_many")

    def settle(self) -> None:
        """Waits until all that was asked for is done: for commands and tests."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            write = self._waiting.get()
            try:
                for letter in write():
                    self._send(self._compose(letter))
                    self._audit.record("mail.sent", template=letter.template)
            except IdpError as error:  # the directory or the store is away
                self._audit.record("mail.failed", cause=error.cause, detail=error.received)
            except Exception as error:  # its text may hold an address
                self._audit.record("mail.failed", cause=f"mail.{type(error).__name__}")
            finally:
                self._waiting.task_done()

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
        settings = self._settings
        with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.username and settings.password:
                server.login(settings.username, settings.password.reveal())
            server.send_message(message)
