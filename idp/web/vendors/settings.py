"""The settings that token, cookie and JSONP vendors share, and the types of their values."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from idp.settings import Settings
from idp.sso.return_address import is_plain, origin_of
from idp.web.settings import is_loopback


def check_web_address(url: str) -> str:
    """The URL of a vendor's page, as it may be registered. Raises ValueError."""
    if not is_plain(url):
        raise ValueError(
            f'{url!r} is not an address such as "https://app.example.org/sso": scheme, host in lower case, path; '
            "no default port, user name, wildcard, fragment, backslash, empty segment or .."
        )
    if url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError(f"{url!r} is plain http: a member's token needs https (localhost may do without, for trials)")
    return url


def _each_address(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_web_address(url) for url in urls)


def _each_origin(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if origin_of(origin) != origin:
            raise ValueError(f'{origin!r} is not an origin such as "https://app.example.org": no path, no slash at the end, lower case')
        check_web_address(f"{origin}/")
    return origins


def _each_network(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ip_network(network, strict=False)  # its ValueError says what is wrong
    return networks


def _plain_url(url: str) -> str:
    """The door of our calls to vendors has its own rules of what it lets out; here only what can never be right is refused."""
    if url and not is_plain(url):
        raise ValueError(f'{url!r} is not an address such as "https://app.example.org/sso/logout"')
    return url


WebAddresses = Annotated[tuple[str, ...], AfterValidator(_each_address)]
"""URLs of a vendor's pages."""

Origins = Annotated[tuple[str, ...], AfterValidator(_each_origin)]
"""Origins: scheme, host and port."""

Networks = Annotated[tuple[str, ...], AfterValidator(_each_network)]
"""IP addresses or networks."""

PlainUrl = Annotated[str, AfterValidator(_plain_url)]
"""An address of a vendor's, such as where its server takes notice; empty for none."""


def _element_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", name):
        raise ValueError(f"{name!r} is not the name of an XML element: letters, digits, _ . and -, no digit first")
    return name


def _namespace(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-~]{1,200}", name):
        raise ValueError(f"{name!r} is not a namespace, such as http://www.atsol.org/wsMoodle/")
    return name


def _is_wide(network: str) -> bool:
    """Whether it has more addresses than one house has."""
    found = ip_network(network, strict=False)
    return found.max_prefixlen - found.prefixlen > (16 if found.version == 4 else 96)


ElementName = Annotated[str, AfterValidator(_element_name)]
Namespace = Annotated[str, AfterValidator(_namespace)]


class AtsSettings(Settings):
    """[clients.ID.token.ats]: the web service as ATS (atsol.org) has it, under /ats/ID/, for a vendor that speaks that already."""

    service: ElementName = "wsbridge"
    """The service's name in its address: "wsmoodle" for /ats/ID/wsmoodle.asmx. Upper and lower case are alike."""
    prefix: Annotated[str, AfterValidator(lambda name: name and _element_name(name))] = ""
    """What its operations begin with: "Moodle" for MoodleGetUserProfileByToken."""
    root: ElementName = "UserProfile"
    """The root element of a profile, such as "MoodleUserProfile"."""
    namespace: Namespace = "urn:imis-idp:ats"
    """Namespace of the profile and of the operations, such as "http://www.atsol.org/wsMoodle/"."""
    result_namespace: Namespace = "urn:ATS.Utilities"
    """Namespace of ResultCode, ResultMessage and Exception."""
    exception_namespace: Namespace = "urn:ATS.Utilities"
    """Namespace of what stands in Exception; "http://www.atsol.org/WebServices/" was seen."""
    id_element: ElementName = "CustomerID"
    """The element with the member's iMIS ID. It is always there."""
    fields: tuple[ElementName, ...] = ("FirstName", "LastName", "Email", "Member")
    """The elements after it, in this order, each what the release calls by that name; empty when it was not released."""
    more: Annotated[str, AfterValidator(lambda name: name and _element_name(name))] = "Demographics"
    """The element with all else that is released, as pairs; empty leaves it out."""
    more_item: ElementName = "Demographic"
    """The element of one pair, such as "MoodleDemographic" or "Field"."""
    more_name: ElementName = "Field"
    """The element with the pair's name."""
    more_value: ElementName = "Value"
    """The element with the pair's value."""
    not_authorized_url: PlainUrl = ""
    """What GetBridgeSettings gives as SSONOTAUTHORIZEDURL."""
    proof: Literal["secret", "address"] = "secret"
    """How the vendor's server shows who it is: by its secret (in the header, or as AuthToken in the body), or only by where it calls
    from. "address" wants `addresses`; it is for vendors that can give no secret at all."""


class VendorSettings(Settings):
    """What the three have in common."""

    return_urls: WebAddresses = ()
    """Where members may be sent back: an exact URL, or a prefix of pages that ends in "/"."""
    deep_link_parameter: str = ""
    """A parameter of our sign-on address that is handed on to the return URL, such as "course"."""
    passive: bool = True
    """Whether the vendor may ask with passive=1, which comes back with signed_in=0 instead of showing the sign-in page."""
    logout_url: PlainUrl = ""
    """Where the vendor's server takes notice of a logout: a POST with `logout_token`, as OpenID Connect Back-Channel Logout has it."""
    addresses: Networks = ()
    """IP addresses or networks of the vendor's servers; when given, only they may redeem."""
    ats: AtsSettings | None = None
    """The same as ATS's web service, for a vendor that speaks that already; without this table there is no such thing."""

    @model_validator(mode="after")
    def _says_whence_it_calls(self) -> Self:
        if self.ats is not None and self.ats.proof == "address" and not self.addresses:
            raise ValueError('ats.proof = "address" wants addresses: from where does the vendor\'s server call?')
        if self.ats is not None and self.ats.proof == "address" and (wide := [each for each in self.addresses if _is_wide(each)]):
            raise ValueError(f'ats.proof = "address" wants few addresses: {", ".join(wide)} proves nothing')
        return self

    @property
    def pages(self) -> tuple[str, ...]:
        """The registered return addresses."""
        return self.return_urls
