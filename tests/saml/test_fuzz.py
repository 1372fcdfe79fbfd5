"""Whatever comes, the gate answers with a message that may be believed or with a refusal, and never fails otherwise (G-S5).

hypothesis keeps the seeds that once failed in `.hypothesis/`, and tries them first; what was found for good stands here as `example`.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote_plus

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from idp.errors import BadRequest
from idp.protocols.saml.document import SAML, SAMLP
from idp.protocols.saml.gate import Envelope, Gate, from_post, from_redirect
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.soap import ENVELOPE, from_soap
from idp.store import Record

from .wiring import NOW, SP, SSO, metadata

PROVIDER = read_metadata(metadata().encode())
NAMES = ("AuthnRequest", "LogoutRequest", "LogoutResponse", "ArtifactResolve", "AttributeQuery")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
ATTRIBUTES = ("ID", "Version", "IssueInstant", "Destination", "ForceAuthn", "ProtocolBinding", "NotOnOrAfter", "Consent", "x:y")
ELEMENTS = (
    *("saml:Issuer", "saml:Subject", "saml:NameID", "samlp:NameIDPolicy", "samlp:RequestedAuthnContext", "saml:AuthnContextClassRef"),
    *("samlp:Scoping", "samlp:IDPList", "samlp:Extensions", "samlp:SessionIndex", "saml:EncryptedID", "ds:Signature", "ds:SignedInfo"),
)


class Forgetful:
    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        return True


GATE = Gate(Forgetful(), now=lambda: NOW)  # type: ignore[arg-type]
QUICK = settings(max_examples=150, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(st.sampled_from(ELEMENTS))
    written = "".join(f' {each}="{draw(values())}"' for each in draw(st.sets(st.sampled_from(ATTRIBUTES), max_size=2)))
    inside = "".join(draw(st.lists(elements(depth - 1), max_size=3))) if depth else ""
    return f"<{name}{written}>{draw(values())}{inside}</{name}>"


def values() -> st.SearchStrategy[str]:
    usual = st.sampled_from(["", "true", "1", SP, SSO, "2.0", write_time(NOW), "urn:x", "&lt;", "&#0;", "&x;", "_1", "]]>", "<!--"])
    return usual | TEXT.map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Messages that look more or less like ours."""
    name, body = draw(st.sampled_from(NAMES)), "".join(draw(st.lists(elements(), max_size=4)))
    usual = f'ID="_1" Version="2.0" IssueInstant="{write_time(NOW)}" Destination="{SSO}"'
    head = usual if draw(st.booleans()) else "".join(f' {each}="{draw(values())}"' for each in draw(st.sets(st.sampled_from(ATTRIBUTES))))
    spaces = f'xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:x="urn:x"'
    issuer = f"<saml:Issuer>{SP}</saml:Issuer>" if draw(st.booleans()) else ""
    return f"<samlp:{name} {spaces} {head}>{issuer}{body}</samlp:{name}>".encode()


def judge(read: Callable[[], Envelope]) -> None:
    """A refusal is good; anything else that is raised fails the test, and so does a signature by nobody."""
    with suppress(BadRequest):
        admitted = GATE.admit(GATE.open(read(), *NAMES), PROVIDER, location=SSO, must_be_signed=False)
        assert (admitted.issuer, admitted.signed) == (SP, False)


@QUICK
@given(messages())
@example(b"")
@example(b"<")
@example(b"\xff\xfe<\x00a\x00/\x00>\x00")
def test_G_S5_any_form_is_believed_or_refused(xml: bytes) -> None:
    judge(lambda: from_post({"SAMLRequest": [base64.b64encode(xml).decode()]}))


@QUICK
@given(messages(), st.binary(max_size=20))
def test_G_S5_any_query_is_believed_or_refused(xml: bytes, noise: bytes) -> None:
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = base64.b64encode(compress.compress(xml) + compress.flush()).decode()
    judge(lambda: from_redirect(f"SAMLRequest={quote_plus(text)}&RelayState=".encode() + noise))


@QUICK
@given(messages(), st.sampled_from(["", '<S:Header><x S:mustUnderstand="0"/></S:Header>', "<S:Header/>", "<S:Body/>"]))
def test_G_S5_any_SOAP_is_believed_or_refused(xml: bytes, head: str) -> None:
    raw = f'<S:Envelope xmlns:S="{ENVELOPE}">{head}<S:Body>'.encode() + xml + b"</S:Body></S:Envelope>"
    judge(lambda: from_soap(raw))


@QUICK
@given(st.binary(max_size=300))
@example(b"SAMLRequest=%")
@example(b"SAMLRequest=AAAA&SigAlg=x&Signature=")
def test_V14_any_octets_as_a_query_are_refused(raw: bytes) -> None:
    judge(lambda: from_redirect(raw))
