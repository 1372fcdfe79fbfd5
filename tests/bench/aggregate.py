"""Makes the metadata of a federation of any size, signed: `python -m tests.bench.aggregate --entities 5000 > federation.xml`."""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from idp.keys import KeyRing, SigningKey
from idp.protocols.saml.document import MD, SAMLP
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.source.canonical import canonical_head, write_canonical

_DS = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_DIGEST_HOLE = b"A" * 43 + b"="
_SIGNED_INFO = (
    '<ds:SignedInfo xmlns:ds="{ds}"><ds:CanonicalizationMethod Algorithm="{exclusive}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>'
    '<ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="{ds}enveloped-signature"></ds:Transform>'
    '<ds:Transform Algorithm="{exclusive}"></ds:Transform></ds:Transforms>'
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
_ENTITY = """<md:EntityDescriptor entityID="{entity_id}"><md:Extensions>\
<mdrpi:RegistrationInfo registrationAuthority="https://federation.example" registrationInstant="2020-01-01T00:00:00Z">\
<mdrpi:RegistrationPolicy xml:lang="en">https://federation.example/policy</mdrpi:RegistrationPolicy></mdrpi:RegistrationInfo>\
<mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category" \
NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue>http://refeds.org/category/research-and-scholarship\
</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes></md:Extensions>
<md:SPSSODescriptor protocolSupportEnumeration="{samlp}"><md:Extensions><mdui:UIInfo>{names}</mdui:UIInfo></md:Extensions>
{keys}<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://sp{number}.example/slo"/>
{endpoints}<md:AttributeConsumingService index="1"><md:ServiceName xml:lang="en">Service {number}</md:ServiceName>{requested}\
</md:AttributeConsumingService></md:SPSSODescriptor>
<md:Organization><md:OrganizationName xml:lang="en">University {number}</md:OrganizationName>\
<md:OrganizationDisplayName xml:lang="en">University {number}</md:OrganizationDisplayName>\
<md:OrganizationURL xml:lang="en">https://university{number}.example/</md:OrganizationURL></md:Organization>
<md:ContactPerson contactType="technical"><md:EmailAddress>mailto:technik@university{number}.example</md:EmailAddress></md:ContactPerson>
</md:EntityDescriptor>
"""


def entity_id_of(number: int) -> str:
    return f"https://sp{number}.example/metadata"


def entity(number: int, certificate: str) -> str:
    """A service provider as federations have them, with seven kilobytes."""
    names = "".join(
        f'<mdui:DisplayName xml:lang="{language}">Service number {number} of the university</mdui:DisplayName>'
        f'<mdui:Description xml:lang="{language}">What members of this university do with it, told in a sentence or two.</mdui:Description>'
        for language in ("en", "de", "fr", "nl", "it", "es", "sv", "cs", "pl", "hu")
    )
    key = f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    endpoints = "".join(
        f'<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" '
        f'Location="https://sp{number}.example/Shibboleth.sso/SAML2/{binding}" index="{index}"/>'
        for index, binding in enumerate(("HTTP-POST", "HTTP-POST-SimpleSign", "HTTP-Artifact", "PAOS"), start=1)
    )
    requested = "".join(
        f'<md:RequestedAttribute FriendlyName="a{each}" Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.{each}" '
        'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" isRequired="true"/>'
        for each in range(6)
    )
    keys = "".join(f'<md:KeyDescriptor use="{use}">{key}</md:KeyDescriptor>' for use in ("signing", "encryption"))
    return _ENTITY.format(
        entity_id=entity_id_of(number), number=number, samlp=SAMLP, names=names, keys=keys, endpoints=endpoints, requested=requested
    )


def opening(valid_until: int, *, identifier: str = "_federation", cache_duration: str = "PT6H") -> str:
    return (
        f'<md:EntitiesDescriptor xmlns:md="{MD}" xmlns:ds="{_DS}" xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" '
        'xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute" xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" '
        f'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{identifier}" Name="https://federation.example" '
        f'validUntil="{write_time(valid_until)}" cacheDuration="{cache_duration}">'
    )


def write_aggregate(file: BinaryIO, entities: Iterable[str], key: SigningKey, *, valid_until: int, identifier: str = "_federation") -> None:
    """Writes it signed. The digest is put into its place at the end, so that nothing large stands in memory."""
    file.write(opening(valid_until, identifier=identifier).encode())
    at = file.tell()
    file.write(_signature("A" * 43 + "=", key, identifier).encode())
    file.writelines(each.encode() for each in entities)
    file.write(b"</md:EntitiesDescriptor>")
    file.seek(0)
    digest = hashlib.sha256()
    write_canonical(file, digest.update, prefixes=())
    file.seek(at)
    file.write(_signature(base64.b64encode(digest.digest()).decode(), key, identifier).encode())
    file.seek(0)


def _signature(digest: str, key: SigningKey, identifier: str) -> str:
    """Of the same length whatever the digest is."""
    info = _SIGNED_INFO.format(ds=_DS, exclusive=_EXCLUSIVE, id=identifier, digest=digest)
    value = base64.b64encode(key.sign(info.encode())).decode()
    return f"<ds:Signature>{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"


def aggregate(count: int, key: SigningKey, *, valid_until: int) -> bytes:
    """A small one, in memory."""
    file = io.BytesIO()
    write_aggregate(file, (entity(number, key.certificate_base64) for number in range(count)), key, valid_until=valid_until)
    assert canonical_head(file)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=5000)
    parser.add_argument("--valid-until", type=int, default=2_000_000_000, help="seconds since 1970")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where federation.xml and federation.pem go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = KeyRing(Path(folder)).create(common_name="federation")
    certificate = key.certificate_base64
    with open(options.folder / "federation.xml", "w+b") as file:
        write_aggregate(file, (entity(each, certificate) for each in range(options.entities)), key, valid_until=options.valid_until)
    (options.folder / "federation.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n")
    print((options.folder / "federation.xml").stat().st_size, "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
