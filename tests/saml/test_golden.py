"""Every kind of message that we send, to the letter, with a frozen clock and frozen ids. UPDATE_GOLDEN=1 writes the files anew."""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path

import pytest

from idp.keys import KeyRing
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.descriptor import Descriptor
from idp.protocols.saml.message import Protection, Status, Writer
from idp.protocols.saml.settings import PERSISTENT, SamlServerSettings

from .test_message import statement
from .wiring import ACS, IDP, IDP_ENTITY, NOW, SP_SLO, key_of, octets

FOLDER = Path(__file__).parent.parent / "golden" / "saml"
KEY = key_of("idp")


def writer() -> Writer:
    numbers = count(1)
    return Writer(IDP_ENTITY, now=lambda: NOW, new_id=lambda: f"_id{next(numbers)}")


def own_metadata(folder: Path) -> bytes:
    keys = KeyRing(folder)
    keys.create()
    settings = SamlServerSettings(
        organization="The Association", organization_url="https://assoc.example", technical_contact="it@assoc.example"
    )
    return Descriptor(IDP, settings, keys=keys, now=lambda: NOW, new_id=lambda: "_id1").document().octets


def documents(folder: Path) -> dict[str, bytes]:
    name_id = NameId("member1", PERSISTENT, IDP_ENTITY, "https://lms.example/metadata")
    status = Status("Responder", "NoPassive", "Nobody is signed in here.")
    return {
        "response": octets(writer().response(statement(), Protection(), KEY)),
        "response-both-signed": octets(writer().response(statement(), Protection(sign_response=True), KEY)),
        "refusal": octets(writer().refusal(status, recipient=ACS, in_response_to="_request1", key=KEY)),
        "logout-request": octets(writer().logout_request(name_id, destination=SP_SLO, session_index="_session1", identifier="_out1")),
        "logout-response": octets(writer().logout_response(Status(second="PartialLogout"), destination=SP_SLO, in_response_to="_theirs")),
        "metadata": own_metadata(folder),
    }


@pytest.mark.parametrize("name", ["response", "response-both-signed", "refusal", "logout-request", "logout-response", "metadata"])
def test_a_message_is_what_it_was(name: str, tmp_path: Path) -> None:
    """Keys are new in every run, so certificates and signature values are left out, and digests over them."""
    text = _without_keys(documents(tmp_path)[name].decode(), keep_digest=name == "response")
    file = FOLDER / f"{name}.xml"
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def _without_keys(text: str, *, keep_digest: bool) -> str:
    """A line for each element, too, so that a difference can be read."""
    names = ["SignatureValue", "X509Certificate", *([] if keep_digest else ["DigestValue"])]
    for name in names:
        text = re.sub(f"<ds:{name}>[^<]*</ds:{name}>", f"<ds:{name}>...</ds:{name}>", text)
    return text.replace("><", ">\n<") + "\n"
