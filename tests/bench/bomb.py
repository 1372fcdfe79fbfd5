"""What hostile messages cost: `python -m tests.bench.bomb`. Each is refused; CPU and memory of that, in a process of its own.

The bounds of the project are 250 ms and 64 MB for one message (V22). The command fails where one of them is broken.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

from idp.errors import IdpError
from idp.protocols.saml.document import SAML, SAMLP, parse
from idp.protocols.saml.gate import Envelope, Gate, from_post, from_redirect
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.signature import verify_enveloped
from idp.protocols.saml.soap import ENVELOPE, from_soap
from idp.store import Record

MOST_MS = 250
MOST_MB = 64
NAMES = ("AuthnRequest", "LogoutRequest", "LogoutResponse", "ArtifactResolve", "AttributeQuery")
_FULL = 250_000  # octets; a message may have 262144
_HEAD = f'ID="_1" Version="2.0" IssueInstant="{write_time(0)}"'


class _NoStore:
    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        return True


def message(inside: str = "", *, attributes: str = "", name: str = "AuthnRequest") -> bytes:
    head = f'xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" {_HEAD}'
    return f"<samlp:{name} {head}{attributes}><saml:Issuer>urn:sp</saml:Issuer>{inside}</samlp:{name}>".encode()


def _times(text: str, *, room: int = _FULL) -> str:
    return text * (room // len(text))


def _numbered(pattern: str, count: int) -> str:
    return "".join(pattern.format(number) for number in range(count))


DOCUMENTS: Mapping[str, bytes] = {
    "entities that grow": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;">' % (98 + n, *[97 + n] * 5) for n in range(20))
    + b"]><a>&u;</a>",
    "nested deeply": message("<saml:x>" * 15_000 + "</saml:x>" * 15_000),
    "many elements": message("<samlp:Extensions>" + _times("<a/>") + "</samlp:Extensions>"),
    "many attributes": message(attributes=_numbered(' a{}=""', 25_000)),
    "many namespaces": message(attributes=_numbered(' xmlns:a{}="urn:a"', 12_000)),
    "namespaces by prefixes used": message(
        "<samlp:Extensions>" + _numbered('<n{0}:a xmlns:n{0}="urn:{0}"/>', 7_000) + "</samlp:Extensions>"
    ),
    "half-open comments": b"<!--" * (_FULL // 4),
    "half-open tags": b"<a" * (_FULL // 2),
    "one long text": message(f"<samlp:Extensions><x:a xmlns:x='urn:x'>{'x' * _FULL}</x:a></samlp:Extensions>"),
    "character references": message(f"<samlp:Extensions><x:a xmlns:x='urn:x'>{_times('&#65;')}</x:a></samlp:Extensions>"),
    "references of one signature": message(
        "<ds:Signature><ds:SignedInfo>" + _times('<ds:Reference URI="#_1"/>') + "</ds:SignedInfo></ds:Signature>"
    ),
    "transforms of one reference": message(
        '<ds:Signature><ds:SignedInfo><ds:Reference URI="#_1"><ds:Transforms>'
        + _times('<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>')
        + "</ds:Transforms></ds:Reference></ds:SignedInfo></ds:Signature>"
    ),
    "many signatures": message(_times("<ds:Signature/>")),
    "many contexts": message(
        "<samlp:RequestedAuthnContext>"
        + _times("<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef>")
        + "</samlp:RequestedAuthnContext>"
    ),
    "many session indexes": message(
        "<saml:NameID>x</saml:NameID>" + _times("<samlp:SessionIndex>x</samlp:SessionIndex>"), name="LogoutRequest"
    ),
    "nested encryption": message("<saml:EncryptedID>" * 5000 + "</saml:EncryptedID>" * 5000, name="LogoutRequest"),
}
"""XML that may come by any binding."""


def _open(read: Callable[[], Envelope]) -> None:
    opened = Gate(_NoStore(), now=lambda: 0).open(read(), *NAMES)  # type: ignore[arg-type]
    verify_enveloped(opened.root, [])


def _by_post(xml: bytes) -> Envelope:
    return from_post({"SAMLRequest": [base64.b64encode(xml).decode()]})


def _by_redirect(deflated: bytes) -> Envelope:
    return from_redirect(f"SAMLRequest={quote_plus(base64.b64encode(deflated).decode())}".encode())


def _deflated(piece: bytes, times: int) -> bytes:
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(compress.compress(piece) for _ in range(times)) + compress.flush()


def _in_soap(xml: bytes) -> bytes:
    return f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body>'.encode() + xml + b"</S:Body></S:Envelope>"


def bombs() -> dict[str, Callable[[], object]]:
    """What is done with each; it raises IdpError."""
    found: dict[str, Callable[[], object]] = {}
    for name, xml in DOCUMENTS.items():
        found[f"{name}, by POST"] = partial(_open, partial(_by_post, xml))
        found[f"{name}, by Redirect"] = partial(_open, partial(_by_redirect, _deflated(xml, 1)))
        found[f"{name}, by SOAP"] = partial(_open, partial(from_soap, _in_soap(xml)))
        found[f"{name}, parsed alone"] = lambda xml=xml: verify_enveloped(parse(xml), [])  # type: ignore[misc]
        found[f"{name}, as metadata"] = partial(read_metadata, xml)
    found["45 MB inflated, by Redirect"] = partial(_by_redirect, _deflated(b" " * 1_000_000, 45))
    found["1 GB inflated, by Redirect"] = partial(_by_redirect, _deflated(b" " * 1_000_000, 1000))
    found["400 KB of parameters"] = partial(from_redirect, b"&".join(b"a%d=1" % number for number in range(50_000)))
    found["400 KB of percent signs"] = partial(from_redirect, b"SAMLRequest=" + b"%41" * 130_000)
    return found


def set_off() -> list[tuple[str, float, int, str]]:
    """Sets off all of them in this process: name, milliseconds of CPU, megabytes by which the process grew, cause of the refusal."""
    read_warm()
    results = []
    for name, bomb in bombs().items():
        Path("/proc/self/clear_refs").write_text("5")  # the high water mark falls to what is there
        before, begun = _high_water(), time.thread_time()
        try:
            bomb()
            cause = "it was taken"
        except IdpError as error:
            cause = error.cause
        results.append((name, (time.thread_time() - begun) * 1000, _high_water() - before, cause))
    return results


def read_warm() -> None:
    """The schemas are compiled once in a worker's life."""
    for xml in (message(), b"<a/>"):
        for read in (partial(_open, partial(_by_post, xml)), partial(read_metadata, xml)):
            try:
                read()
            except IdpError:
                continue


def _high_water() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def in_a_process_of_its_own() -> list[tuple[str, float, int, str]]:
    text = "import json; from tests.bench.bomb import set_off; print(json.dumps(set_off()))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return [(str(name), float(ms), int(grown), str(cause)) for name, ms, grown, cause in json.loads(done.stdout)]


def main() -> int:
    results = sorted(in_a_process_of_its_own(), key=lambda each: -each[1])
    for name, ms, grown, cause in results:
        print(f"{name:50} {ms:7.1f} ms CPU  {grown:4} MB  {cause}")
    broken = [name for name, ms, grown, _ in results if ms > MOST_MS or grown > MOST_MB]
    print(f"{len(results)} messages; over {MOST_MS} ms or {MOST_MB} MB: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
