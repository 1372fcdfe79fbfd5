"""The learning center: a SAML service provider made with python3-saml (OneLogin), in its strict mode."""

from __future__ import annotations

import copy
from typing import Any

import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask, Response, request
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.errors import OneLogin_Saml2_Error
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from idp.demo.address import Addresses
from idp.demo.vendors import LMS
from idp.demo.vendors.member import Member, texts
from idp.demo.vendors.question import Questions
from idp.demo.vendors.site import SignInFailed, Site, see
from idp.keys import SigningKey

_BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings"
_FORMATS = "urn:oasis:names:tc:SAML:2.0:nameid-format"
_DEADLINE = 5  # seconds for one call


def saml_site(addresses: Addresses, key: SigningKey) -> Flask:
    """Assertions come by POST, logout messages by redirect, signed both ways."""
    site = Site(LMS, addresses)
    provider = _Provider(site, key)
    for path, method, view in (
        ("/metadata", "GET", provider.metadata),
        ("/sign-in", "GET", provider.sign_in),
        ("/acs", "POST", provider.consume),
        ("/sign-out", "POST", provider.sign_out),
        ("/slo", "GET", provider.single_logout),
    ):
        site.app.add_url_rule(path, view_func=view, methods=[method])
    return site.app


class _Provider:
    """The service provider's pages."""

    def __init__(self, site: Site, key: SigningKey) -> None:
        self._site = site
        self._key = key
        self._questions = Questions()

    def metadata(self) -> Response:
        return Response(provider_metadata(self._site.url, self._key), mimetype="application/samlmetadata+xml")

    def sign_in(self) -> Response:
        relay, talk = self._questions.prepare(), self._conversation()
        url = talk.login(return_to=relay)
        self._questions.asked(relay, talk.get_last_request_id())
        return see(url)

    def consume(self) -> Response:
        """An assertion is taken only as the answer to a question of ours."""
        question = self._questions.take(request.form.get("RelayState", ""))
        if question is None:
            raise SignInFailed("This is not the answer to a question of ours.")
        talk = self._conversation()
        _checked(talk, lambda: talk.process_response(request_id=question))
        proof = {"name_id": talk.get_nameid(), "format": talk.get_nameid_format(), "spnq": talk.get_nameid_spnq() or ""}
        attributes = {name: texts(values) for name, values in talk.get_attributes().items()}
        return self._site.let_in(Member(talk.get_nameid(), attributes, talk.get_session_index() or "", proof))

    def sign_out(self) -> Response:
        member = self._site.let_out()
        if member is None:
            return see(f"{self._site.url}/")
        relay, talk = self._questions.prepare(), self._conversation()
        url = talk.logout(
            return_to=relay,
            name_id=member.proof["name_id"],
            name_id_format=member.proof["format"],
            spnq=member.proof["spnq"] or None,
            session_index=member.session,
        )
        self._questions.asked(relay, talk.get_last_request_id())
        return see(url)

    def single_logout(self) -> Response:
        """A LogoutRequest of the sign-in service, which gets its answer; or its answer to ours."""
        question = self._questions.take(request.args.get("RelayState", "")) if "SAMLResponse" in request.args else None
        talk = self._conversation()
        url = _checked(talk, lambda: talk.process_slo(request_id=question, delete_session_cb=lambda: self._end(talk)))
        return see(url or f"{self._site.url}/")

    def _end(self, talk: Any) -> None:
        """What a good logout message ends: this browser's session, and those of the sign-in that a request names."""
        self._site.let_out()
        if "SAMLRequest" in request.args:
            for index in OneLogin_Saml2_Logout_Request.get_session_indexes(talk.get_last_request_xml()):
                self._site.members.close_all_of(index)

    def _conversation(self) -> Any:
        """python3-saml's object for one request; it reads the sign-in service's metadata afresh and so follows a change of its key."""
        return OneLogin_Saml2_Auth(_request_data(), _with_idp(provider_settings(self._site.url, self._key), self._site.idp))


def provider_settings(url: str, key: SigningKey) -> dict[str, Any]:
    """The service provider, as python3-saml wants to be told."""
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "strict": True,
        "sp": {
            "entityId": f"{url}/metadata",
            "assertionConsumerService": {"url": f"{url}/acs", "binding": f"{_BINDINGS}:HTTP-POST"},
            "singleLogoutService": {"url": f"{url}/slo", "binding": f"{_BINDINGS}:HTTP-Redirect"},
            "NameIDFormat": f"{_FORMATS}:persistent",
            "x509cert": key.certificate_base64,
            "privateKey": private,
        },
        "security": {
            "authnRequestsSigned": True,
            "logoutRequestSigned": True,
            "logoutResponseSigned": True,
            "wantMessagesSigned": True,
            "wantAssertionsSigned": True,
            "rejectDeprecatedAlgorithm": True,
            "metadataValidUntil": "",  # else the metadata would be good for two days only
            "metadataCacheDuration": "",
        },
    }


def provider_metadata(url: str, key: SigningKey) -> bytes:
    """Our metadata, to be given to the sign-in service."""
    settings = OneLogin_Saml2_Settings(provider_settings(url, key), sp_validation_only=True)
    metadata: bytes | str = settings.get_sp_metadata()
    return metadata.encode() if isinstance(metadata, str) else metadata


def _with_idp(settings: dict[str, Any], idp: str) -> dict[str, Any]:
    """Our settings, and the sign-in service as its metadata describes it. Raises SignInFailed."""
    try:
        answer = requests.get(f"{idp}/saml/metadata", timeout=_DEADLINE)
        answer.raise_for_status()
    except requests.RequestException:
        raise SignInFailed("The sign-in service does not answer.") from None
    described = OneLogin_Saml2_IdPMetadataParser.parse(answer.content)
    return {**copy.deepcopy(settings), "idp": described["idp"]}


def _checked(talk: Any, act: Any) -> str | None:
    """What python3-saml makes of a message. Raises SignInFailed with its reason."""
    try:
        url: str | None = act()
    except OneLogin_Saml2_Error as error:
        raise SignInFailed(str(error)) from None
    if talk.get_errors():
        raise SignInFailed(talk.get_last_error_reason() or ", ".join(talk.get_errors()))
    return url


def _request_data() -> dict[str, Any]:
    """The request, as python3-saml wants to be told."""
    return {
        "https": "off",
        "http_host": request.host,
        "script_name": request.path,
        "get_data": request.args.to_dict(),
        "post_data": request.form.to_dict(),
        "query_string": request.query_string.decode(),
        "validate_signature_from_qs": True,
    }
