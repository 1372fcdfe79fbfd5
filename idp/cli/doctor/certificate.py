"""The TLS certificate that a server shows to whoever comes: ours, and iMIS's (F17)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from idp.cli.doctor.advice import DAY, MONTH
from idp.clock import Now

_PATIENCE = 3.0  # seconds
_URGENT = 1  # day


def ending_of(host: str, port: int, *, now: Now, ca_file: Path | None = None) -> Iterator[tuple[str, bool]]:
    """What is wrong with it, or soon will be, and whether that is serious. Raises OSError where nobody answers."""
    try:
        ends = _ends(host, port, ca_file)
    except ssl.SSLCertVerificationError as error:
        yield f"its certificate is not accepted: {error.verify_message}", True
        return
    days = (ends - now()) // DAY
    if days <= MONTH:
        yield f"its certificate ends in {days} days", days <= _URGENT


def _ends(host: str, port: int, ca_file: Path | None) -> int:
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    with socket.create_connection((host, port), timeout=_PATIENCE) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        shown = secure.getpeercert()
    return int(ssl.cert_time_to_seconds(str((shown or {})["notAfter"])))
