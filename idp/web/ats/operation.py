"""The operations of ATS's web service, each from a call's parameters to the content of its answer. No HTTP here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from idp.secret import Secret
from idp.sso.answer import SharedCookie
from idp.sso.client import Client
from idp.web import xml
from idp.web.admission import ServiceError
from idp.web.ats import message
from idp.web.profile_desk import ProfileDesk
from idp.web.vendors.settings import AtsSettings, VendorSettings

Given = Mapping[str, str]
"""A call's parameters, names in lower case."""


@dataclass(frozen=True)
class Answer:
    """The content of an element `root`."""

    root: str
    content: str


@dataclass(frozen=True)
class Operation:
    """`parameters` are for the WSDL. What is public needs no proof of who calls."""

    name: str
    parameters: tuple[str, ...]
    answer: Callable[[Client, Given], Answer]
    is_public: bool = False


CookieOf = Callable[[Client], SharedCookie | None]
"""The cookie in which a client finds its token, if it does. Raises IdpError when it cannot be shared."""


class Operations:
    """What the service can do, by the names that the client's settings give it."""

    def __init__(self, desk: ProfileDesk, *, url: str, cookie_of: CookieOf) -> None:
        self._desk = desk
        self._url = url
        self._cookie_of = cookie_of

    def of(self, client: Client) -> tuple[Operation, ...]:
        prefix = ats_of(client).prefix
        return (
            Operation(f"{prefix}GetUserProfileByToken", ("token",), self._profile),
            Operation(f"{prefix}GetUserProfile", ("token", "ID", "AuthToken"), self._profile),
            Operation("asiDecrypt", ("encryptedText", "AuthToken"), self._decrypt),
            Operation("getToken", ("id", "AuthToken"), self._give_token),
            Operation("checkSSOFilter", ("id", "AuthToken"), self._check_filter),
            Operation("GetBridgeSettings", (), self._settings, is_public=True),
        )

    def find(self, client: Client, name: str) -> Operation:
        """By its name in any case. Raises ServiceError."""
        operations = self.of(client)
        for operation in operations:
            if operation.name.casefold() == name.casefold():
                return operation
        known = ", ".join(each.name for each in operations)
        raise ServiceError("ats.operation_unknown", "There is no such operation.", expected=known, received=name, status=404)

    def address(self, client: Client) -> str:
        return f"{self._url}/ats/{client.id}/{ats_of(client).service}.asmx"

    def _profile(self, client: Client, given: Given) -> Answer:
        """By a token, which is spent; or by the id of a member who is signed in there."""
        ats = ats_of(client)
        if given.get("token"):
            return Answer(ats.root, message.profile_content(ats, self._desk.redeem(client, Secret(given["token"]))))
        subject_id = _one(given, "id")
        found = self._desk.of_member(client, subject_id)
        return Answer(ats.root, message.profile_content(ats, found) if found else message.not_found_content(ats, subject_id))

    def _decrypt(self, client: Client, given: Given) -> Answer:
        """The id behind a token, which is spent."""
        return Answer("string", xml.text(self._desk.redeem(client, Secret(_one(given, "encryptedtext"))).session.subject_id))

    def _give_token(self, client: Client, given: Given) -> Answer:
        token = self._desk.token_for(client, _one(given, "id"))
        if token is None:
            raise ServiceError("ats.no_session", "This member is not signed in here at the moment: send them to sign in.")
        return Answer("string", xml.text(token.reveal()))

    def _check_filter(self, client: Client, given: Given) -> Answer:
        subject_id = _one(given, "id")
        return Answer("SSOFilter", message.filter_content(subject_id, self._desk.may_enter(client, subject_id)))

    def _settings(self, client: Client, _: Given) -> Answer:
        """The names in force, also of a cookie whose settings leave them open: a vendor looks for it under no other."""
        settings: VendorSettings = client.settings
        cookie = self._cookie_of(client)
        shown = {
            "SSOGATEWAYURLPARAM": getattr(settings, "token_parameter", ""),
            "SSOFILTER": "" if client.entry == type(client.entry)() else client.id,
            "SSOCOURSEIDPARAM": settings.deep_link_parameter,
            "COURSEURL": next(iter(settings.pages), ""),
            "COOKIENAME": cookie.name if cookie else "",
            "COOKIEDOMAIN": cookie.domain if cookie else "",
            "SSONOTAUTHORIZEDURL": ats_of(client).not_authorized_url,
            "BRIDGESERVICEURL": self.address(client),
        }
        return Answer("BridgeSettings", message.settings_content(shown))


def ats_of(client: Client) -> AtsSettings:
    """The client's table `ats`; nobody comes here without one."""
    settings: VendorSettings = client.settings
    assert settings.ats is not None
    return settings.ats


def _one(given: Given, name: str) -> str:
    if not given.get(name):
        raise ServiceError("ats.parameter_missing", f"The parameter {name} is missing.", expected=name)
    return given[name]
