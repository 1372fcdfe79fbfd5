"""A federation's metadata: whose signature counts, what is refused, and that a large one needs little memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from idp.keys import SigningKey
from idp.protocols.saml.document import DS, MD, METADATA, parse, qualified
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.source.aggregate import Entity, _elements, read_entities, verify_aggregate
from tests.bench.aggregate import entity, entity_id_of

from .publisher import DAY, aggregate_of
from .wiring import NOW, SP, key_of, metadata, octets, sign_by_hand, signed


def verified(raw: bytes, *keys: SigningKey) -> BytesIO:
    out = BytesIO()
    verify_aggregate(BytesIO(raw), out, [key.private.public_key() for key in keys or (key_of("federation"),)])
    return out


def entities(raw: bytes) -> list[Entity]:
    return list(read_entities(verified(raw)))


def refused(raw: bytes, *keys: SigningKey) -> MetadataProblem:
    with pytest.raises(MetadataProblem) as caught:
        list(read_entities(verified(raw, *keys)))
    return caught.value


def test_IIP_MD02_an_aggregate_of_any_number_is_verified_and_taken_apart() -> None:
    found = entities(aggregate_of(key_of("federation"), 20))
    assert [each.entity_id for each in found] == [entity_id_of(number) for number in range(20)]
    provider = read_metadata(found[7].xml)
    assert provider.entity_id == entity_id_of(7)
    assert provider.acs[0].location == "https://sp7.example/Shibboleth.sso/SAML2/HTTP-POST"
    assert provider.signing_keys == (key_of("federation").private.public_key(),)


def test_validity_of_the_whole_is_read_from_what_was_signed() -> None:
    validity = verify_aggregate(BytesIO(aggregate_of(key_of("federation"))), BytesIO(), [key_of("federation").private.public_key()])
    assert (validity.valid_until, validity.cache_duration) == (NOW + 7 * DAY, 6 * 3600)


def test_V10_any_of_several_pinned_keys_will_do_and_no_other() -> None:
    raw = aggregate_of(key_of("federation"))
    verified(raw, key_of("old"), key_of("federation"))
    assert refused(raw, key_of("old")).cause == "saml.metadata_unusable"


def changed(text: Callable[[str], str]) -> bytes:
    return text(aggregate_of(key_of("federation")).decode()).encode()


def moved_signature(text: str) -> str:
    begin, end = text.index("<ds:Signature"), text.index("</ds:Signature>") + len("</ds:Signature>")
    return text[:begin] + text[end:].replace("</md:EntitiesDescriptor>", text[begin:end] + "</md:EntitiesDescriptor>")


def without_signature(text: str) -> str:
    return text[: text.index("<ds:Signature")] + text[text.index("</ds:Signature>") + len("</ds:Signature>") :]


FORGED = {
    "unsigned (S14)": without_signature,
    "signature at the end": moved_signature,
    "an address changed": lambda text: text.replace("https://sp1.example/Shib", "https://evil.example/Shib"),
    "an entity left out": lambda text: text.replace(entity(1, key_of("federation").certificate_base64), ""),
    "an entity put in": lambda text: text.replace("</md:EntitiesDescriptor>", metadata() + "</md:EntitiesDescriptor>"),
    "validUntil changed": lambda text: text.replace('validUntil="2027', 'validUntil="2029'),
    "another ID": lambda text: text.replace('ID="_federation"', 'ID="_other"'),
    "genuine one inside a forged one (S15)": lambda text: (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_evil">'
        f"<md:Extensions>{text}</md:Extensions>{metadata()}</md:EntitiesDescriptor>"
    ),
    "genuine signature in a forged one with its ID": lambda text: (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_federation">'
        f'<ds:Signature xmlns:ds="{DS}">{text.partition("<ds:Signature>")[2].partition("</ds:Signature>")[0]}</ds:Signature>'
        f"{metadata()}</md:EntitiesDescriptor>"
    ),
    "DTD": lambda text: "<!DOCTYPE md:EntitiesDescriptor>" + text,
    "entity bomb": lambda text: '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + text.replace("University 1<", "&b;<"),
    "external entity": lambda text: '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + text.replace("University 1<", "&a;<"),
    "xinclude": lambda text: text.replace(
        "</md:EntitiesDescriptor>", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/></md:EntitiesDescriptor>'
    ),
    "stylesheet": lambda text: '<?xml-stylesheet href="http://127.0.0.1/"?>' + text,
    "cut off": lambda text: text[:-200],
    "no XML": lambda text: "<html><p>404" + text[:0],
    "empty": lambda text: "",
}


@pytest.mark.parametrize("how", FORGED.values(), ids=FORGED)
def test_S14_S15_V4_what_is_not_as_it_was_signed_is_refused(how: Callable[[str], str]) -> None:
    assert refused(changed(how)).cause == "saml.metadata_unusable"


def test_V9_an_entity_that_is_signed_inside_an_unsigned_root_is_refused() -> None:
    inner = octets(signed(parse(metadata(attributes=' ID="_sp"').encode(), METADATA), key_of("federation"))).decode()
    wrapped = f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_root">{inner}</md:EntitiesDescriptor>'
    assert refused(wrapped.encode()).cause == "saml.metadata_unusable"
    assert [each.entity_id for each in entities(inner.encode())] == [SP], "by itself it is good"


def test_signatures_of_the_members_own_count_for_nothing_and_do_no_harm() -> None:
    inner = octets(signed(parse(metadata(attributes=' ID="_sp"').encode(), METADATA), key_of("stranger"))).decode()
    found = entities(aggregate_of(key_of("federation"), [inner]))
    assert read_metadata(found[0].xml).entity_id == SP


def test_S53_a_signature_by_sha_1_is_refused() -> None:
    root = parse(aggregate_of(key_of("federation"), [metadata()]), METADATA)
    root.remove(root.find(qualified(DS, "Signature")))
    sha1 = {"method": DS + "rsa-sha1", "digest_method": DS + "sha1"}
    by_hand = sign_by_hand(root, key_of("federation").private, **sha1)
    by_hand.insert(0, by_hand[1])
    assert refused(octets(by_hand)).cause == "saml.metadata_unusable"


def doubled() -> str:
    """One service provider in two roles."""
    begin, end = metadata().index("<md:SPSSODescriptor"), metadata().index("</md:EntityDescriptor>")
    return metadata()[:end] + metadata()[begin:]


def test_a_service_provider_that_is_described_twice_over_is_refused() -> None:
    with pytest.raises(MetadataProblem, match="twice over"):
        read_metadata(doubled().encode())


UNUSABLE = {
    "twice over": (doubled(), "is described in several ways at once"),
    "no time": (metadata(attributes=' validUntil="soon"'), "has a time that cannot be read: soon"),
    "too large": (metadata(inside=f"<!-- -->{' ' * METADATA.size}"), "is too large"),
}


@pytest.mark.parametrize(("text", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_wrong_with_one_member_is_that_ones_alone(text: str, problem: str) -> None:
    bad, good = entities(aggregate_of(key_of("federation"), [text, entity(1, key_of("sp").certificate_base64)]))
    assert (bad.entity_id, bad.problem, bad.xml) == (SP, problem, b"")
    assert (good.entity_id, good.problem) == (entity_id_of(1), "")


@pytest.mark.parametrize("group", ["{}", "<md:EntitiesDescriptor>{}</md:EntitiesDescriptor>"], ids=["in one group", "in groups of one"])
def test_V22_of_the_members_that_were_read_nothing_but_a_shell_is_kept(group: str) -> None:
    texts = [group.format(entity(number, key_of("sp").certificate_base64)) for number in range(200)]
    every = list(_elements(verified(aggregate_of(key_of("federation"), texts)), qualified(MD, "EntityDescriptor")))
    assert sum(1 for _ in every[-1].getroottree().iter()) < 4 * len(texts), "each has fifty elements"


def test_identity_providers_in_it_are_passed_over() -> None:
    role = '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>'
    other = f'<md:EntityDescriptor entityID="urn:idp">{role}</md:EntityDescriptor>'
    assert [each.entity_id for each in entities(aggregate_of(key_of("federation"), [other, metadata()]))] == [SP]


def test_groups_in_groups_are_read_and_their_ends_count() -> None:
    inner = f'<md:EntitiesDescriptor validUntil="2027-01-16T00:00:00Z">{metadata()}</md:EntitiesDescriptor>'
    assert entities(aggregate_of(key_of("federation"), [inner]))[0].valid_until == 1_800_057_600


def test_a_prefix_that_stands_in_a_value_alone_is_not_lost() -> None:
    typed = metadata(inside="").replace(
        "<md:SPSSODescriptor",
        '<md:Extensions><mdattr:EntityAttributes><saml:Attribute Name="a"><saml:AttributeValue '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="mdui:x">v</saml:AttributeValue></saml:Attribute>'
        "</mdattr:EntityAttributes></md:Extensions><md:SPSSODescriptor",
        1,
    )
    found = entities(aggregate_of(key_of("federation"), [typed]))[0]
    assert b'xmlns:xsi="' in found.xml
    assert read_metadata(found.xml).entity_id == SP


BOUNDED = """
import sys
from pathlib import Path
from tempfile import TemporaryFile
from idp.protocols.saml.entity import MetadataProblem, certificate_key
from idp.protocols.saml.source.aggregate import read_entities, verify_aggregate
def most():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = most()
try:
    with open(sys.argv[1], "rb") as received, TemporaryFile() as out:
        verify_aggregate(received, out, [certificate_key(sys.argv[2])])
        print(sum(1 for _ in read_entities(out)))
except MetadataProblem as error:
    print(error.cause)
print((most() - before) // 1024)
"""


def in_a_process_of_its_own(file: Path, key: SigningKey) -> tuple[str, int]:
    """What came of it, and by how many megabytes the process grew."""
    done = subprocess.run([sys.executable, "-c", BOUNDED, str(file), key.certificate_base64], capture_output=True, text=True, check=True)
    said, grown = done.stdout.split()
    return said, int(grown)


def test_V22_an_aggregate_of_many_megabytes_takes_little_memory(tmp_path: Path) -> None:
    key = key_of("federation")
    (tmp_path / "large.xml").write_bytes(aggregate_of(key, 2000))
    size = (tmp_path / "large.xml").stat().st_size
    said, grown = in_a_process_of_its_own(tmp_path / "large.xml", key)
    assert (said, size > 13_000_000) == ("2000", True)
    assert grown < 12


BOMBS = {
    "100 MB of blanks": (b"<a>", b" " * 65536, 1526),
    "100 MB of elements": (b"<a>", b"<b/>" * 16384, 1526),
    "100 MB in a value": (b'<a b="', b"x" * 65536, 1526),
    "100 MB of a comment": (b"<!--", b"x" * 65536, 1526),
    "nested without end": (b"", b"<a>" * 1000, 100),
}


@pytest.mark.parametrize(("head", "piece", "times"), BOMBS.values(), ids=BOMBS)
def test_V22_bombs_are_refused_in_bounded_memory(tmp_path: Path, head: bytes, piece: bytes, times: int) -> None:
    with open(tmp_path / "bomb.xml", "wb") as file:
        file.write(head)
        for _ in range(times):
            file.write(piece)
    said, grown = in_a_process_of_its_own(tmp_path / "bomb.xml", key_of("federation"))
    assert said == "saml.metadata_unusable"
    assert grown < 16
