"""The chain of an audit log: each line names the one before it and is sealed with the deployment's key, so that a change is found (S123).

A chain is one writer's: a worker process begins its own, and so does one whose log could not be written for a while. Several chains
may stand in one file, and one chain may go on over several files. The seal is keyed: who has the log alone cannot make it anew.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

BEGUN = "audit.chain_begun"
ENDED = "audit.chain_ended"
ORIGIN = "0" * 32
"""What the first line of a chain has in place of the hash before it."""

_SEALED = re.compile(r'(?P<body>\{.*), "hash": "(?P<hash>[0-9a-f]{32})"\}')


def seal(key: bytes, body: str) -> str:
    """The hash of a line's text up to its own hash: HMAC-SHA-256, of which 128 bits are kept."""
    return hmac.digest(key, body.encode(), "sha256").hex()[:32]


@dataclass(frozen=True)
class Problem:
    """A line that is not as it was written, or before which some are missing."""

    file: str
    line: int
    kind: str
    """`altered`, `missing`, `inserted` or `unsealed`."""
    detail: str


@dataclass
class _Chain:
    sequence: int
    hash: str
    file: str
    line: int
    ended: bool


@dataclass
class Verification:
    """What reading the files in order has shown so far."""

    key: bytes = field(repr=False)
    events: int = 0
    other_lines: int = 0
    """Lines that are no events: the server's own messages may share the file."""
    continued: list[str] = field(default_factory=list)
    """Chains whose beginning lies before the first of the files."""
    chains: dict[str, _Chain] = field(default_factory=dict)

    @property
    def open(self) -> list[str]:
        """Chains without an end: still written, or killed, or cut off after the line they stop at. From the log alone nobody can tell."""
        return [name for name, chain in self.chains.items() if not chain.ended]

    def read(self, file: str, lines: Iterable[str]) -> Iterator[Problem]:
        """Problems in the order of the lines."""
        for number, text in enumerate(lines, start=1):
            yield from self._line(file, number, text.rstrip("\r\n"))

    def _line(self, file: str, number: int, text: str) -> Iterator[Problem]:
        match = _SEALED.fullmatch(text)
        record = _record(text)
        if record is None or "event" not in record:
            self.other_lines += 1
            return
        self.events += 1
        name, sequence = record.get("chain"), record.get("seq")
        if not match or not isinstance(name, str) or type(sequence) is not int:
            yield Problem(file, number, "inserted", "an event without a place in a chain")
            return
        if not hmac.compare_digest(seal(self.key, match["body"]), match["hash"]):
            if record.get("sealed") is False and sequence == 0:
                yield Problem(file, number, "unsealed", f"chain {name} was begun while the key folder could not be read")
            else:
                yield Problem(file, number, "altered", f"its hash does not fit: chain {name}, line {sequence} of it")
        yield from self._step(file, number, name, sequence, record)
        self.chains[name] = _Chain(sequence, match["hash"], file, number, record["event"] == ENDED)

    def _step(self, file: str, number: int, name: str, sequence: int, record: dict[str, object]) -> Iterator[Problem]:
        """Whether the line is the next of its chain."""
        before = self.chains.get(name)
        if before is None:
            if sequence != 0:
                self.continued.append(name)
            elif record.get("prev") != ORIGIN:
                yield Problem(file, number, "altered", f"the first line of chain {name} follows another")
            return
        place = f"after line {before.line} of {before.file}"
        if sequence > before.sequence + 1:
            yield Problem(file, number, "missing", f"{sequence - before.sequence - 1} of chain {name} {place}")
        elif sequence <= before.sequence or before.ended:
            yield Problem(file, number, "inserted", f"line {sequence} of chain {name} stands {place}, which is its line {before.sequence}")
        elif record.get("prev") != before.hash:
            yield Problem(file, number, "altered", f"it does not follow line {before.line} of {before.file}: one of the two was replaced")


def _record(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
