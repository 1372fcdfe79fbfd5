"""The demo's mailbox: an SMTP server on this machine that keeps what it gets, and a page that shows it. Nothing is ever sent on."""

from __future__ import annotations

import socketserver
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from flask import Flask, render_template

_MOST_KEPT = 50
_LONGEST_LINE = 4096
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class Mail:
    """A letter as it came."""

    to: str
    subject: str
    text: str
    html: str


class Mailbox:
    """The last letters, the newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: deque[Mail] = deque(maxlen=_MOST_KEPT)

    def put(self, content: bytes) -> None:
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        with self._lock:
            self._mails.appendleft(Mail(str(message["To"]), str(message["Subject"]), _part(message, "plain"), _part(message, "html")))

    def mails(self) -> list[Mail]:
        with self._lock:
            return list(self._mails)


def mailbox_site(mailbox: Mailbox) -> Flask:
    """GET / alone."""
    app = Flask("idp.demo", static_folder=None)

    @app.get("/")
    def show() -> str:
        return render_template("mailbox.html", mails=mailbox.mails(), colour="#1b3a5c")

    return app


@contextmanager
def receiving(mailbox: Mailbox, *, port: int = 0) -> Iterator[int]:
    """Receives mail on a port of this machine for as long as the block runs; gives the port. Port 0: any that is free."""

    class Handler(_Conversation):
        box = mailbox

    with _Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Conversation(socketserver.StreamRequestHandler):
    """The few words of RFC 5321 that a client needs to hand over a letter."""

    box: Mailbox
    timeout = 30

    def handle(self) -> None:
        self._say("220 mailbox.localhost ready")
        while line := self.rfile.readline(_LONGEST_LINE):
            word = line.decode("ascii", "replace").strip().upper().split(" ")[0]
            if word == "QUIT":
                self._say("221 Bye")
                return
            if word == "DATA":
                self._receive()
            else:
                self._say("250 OK" if word in ("EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP") else "502 Not here")

    def _receive(self) -> None:
        self._say("354 Go on; end with a dot")
        lines: list[bytes] = []
        while (line := self.rfile.readline(_LONGEST_LINE)) and line.rstrip(b"\r\n") != b".":
            lines.append(line[1:] if line.startswith(b".") else line)  # RFC 5321 §4.5.2
            if sum(map(len, lines)) > _LARGEST:
                self._say("552 Too large")
                return
        self.box.put(b"".join(lines))
        self._say("250 OK")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def _part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    return str(body.get_content()).replace("\r\n", "\n") if body else ""
