"""Clients that follow our keys, as vendors do: by the JWK set, and by the metadata."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections import Counter
from html import unescape

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.secret import digest


class Verified:
    """What one client verified: by which keys, and what it could not verify."""

    def __init__(self) -> None:
        self.kids: Counter[str] = Counter()
        self.failures: list[str] = []

    def note(self, kid: str, problem: str = "") -> None:
        if problem:
            self.failures.append(f"{kid}: {problem}")
        else:
            self.kids[kid] += 1


class JwksFollower(Verified):
    """Verifies tokens by a JWK set that it keeps. `again` fetches it anew for a key that it does not know; else it is read now and then."""

    def __init__(self, url: str, *, again: bool) -> None:
        super().__init__()
        self._url = f"{url}/oauth/jwks"
        self._again = again
        self.read()

    def read(self) -> None:
        self._keys = KeySet.import_key_set(json.loads(fetch(self._url)))

    def verify(self, token: str) -> None:
        kid = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
        try:
            if self._again and kid not in [key.kid for key in self._keys.keys]:
                self.read()
            jwt.decode(token, self._keys, algorithms=["RS256"])
            self.note(kid)
        except (JoseError, ValueError, OSError) as error:
            self.note(kid, repr(error))


class MetadataFollower(Verified):
    """A SAML service provider that reads our metadata at its own address now and then, and verifies by the certificates there."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = f"{url}/saml/metadata/lms"
        self.read()

    def read(self) -> None:
        found = re.findall(r"<ds:X509Certificate>([^<]+)<", fetch(self._url))
        self._certificates = [OneLogin_Saml2_Utils.format_cert(each) for each in found]

    def verify(self, page: str) -> None:
        response = base64.b64decode(unescape(re.findall(r'name="SAMLResponse" value="([^"]+)"', page)[0]))
        known = list(self._certificates)
        good = next((each for each in known if OneLogin_Saml2_Utils.validate_sign(response, cert=each, validatecert=False)), "")
        self.note(digest(good), "" if good else "no certificate of the metadata that were read fits")


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text
