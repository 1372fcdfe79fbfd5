"""What a worker does for metadata from time to time: it looks whether any are due, and has a process of its own fetch them.

A federation's metadata take seconds of CPU, which in a thread of the worker members would feel; the process ends, and with it its memory.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from idp.protocols.saml.provider import Known
from idp.protocols.saml.source.expiry import Herald
from idp.protocols.saml.source.refresh import Refresher

REFRESH = (sys.executable, "-m", "idp.cli", "clients", "refresh", "--due")


class MetadataDuty:
    """`look` comes back at once: no worker waits for another server."""

    def __init__(
        self, refresher: Refresher, herald: Herald, known: Callable[[], Sequence[Known]], command: Sequence[str] = REFRESH
    ) -> None:  # fmt: skip
        self._refresher = refresher
        self._herald = herald
        self._known = known
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Raises StoreUnavailable. Of several workers one begins; a lease for each source sees to the rest."""
        if self._child is not None and self._child.poll() is None:
            return
        if self._refresher.due() and self._refresher.may_begin():
            self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._herald.tell(self._known())
