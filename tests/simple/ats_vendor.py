"""Vendors as public code of ATS's customers shows them (facts on iMIS, 8.2 and 8.3). They know one base URL, and nothing of us."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

import requests

UTILITIES = "{urn:ATS.Utilities}"


class BlueSkyLike:
    """Sends members to sso.aspx; takes the token on its callback; asks for the profile by GET, and when that fails by POST."""

    namespace = "{http://www.atsol.org/wsBlueSkyBroadcast/}"

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.members: list[dict[str, str]] = []
        self.failures: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Its own site: /login begins, anything with a token is the callback."""
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        if environ["PATH_INFO"] == "/login":
            start_response("302 Found", [("Location", f"{self.base_url}sso.aspx?origin=assoc")])
            return [b""]
        if "TOKEN" in query:
            self.enter(query["origin"], query["TOKEN"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{len(self.members)} entered".encode()]

    def enter(self, origin: str, token: str) -> None:
        url = f"{self.base_url}wsblueskybroadcast.asmx/BlueSkyBroadcastGetUserProfile"
        answer = requests.get(url, params={"token": token}, timeout=10)
        if answer.status_code != 200:
            answer = requests.post(url, data={"token": unquote(token)}, timeout=10)
        if answer.status_code != 200:
            self.failures.append(answer.text)
            return
        profile = ElementTree.fromstring(answer.content)
        assert profile.tag == f"{self.namespace}BlueSkyBroadcastUserProfile"
        assert profile.findtext(f"{UTILITIES}ResultCode") == "0"
        fields = {name: profile.findtext(f"{self.namespace}{name}") or "" for name in ("CustomerID", "FirstName", "LastName", "Email")}
        pairs = profile.iterfind(f"{self.namespace}AdditionalFields/{self.namespace}Field")
        more = {pair.findtext(f"{self.namespace}Name") or "": pair.findtext(f"{self.namespace}Value") or "" for pair in pairs}
        self.members.append({**fields, **more, "origin": origin})


class MoodleLike:
    """Knows the token on a page, and later the member by id."""

    namespace = "{http://www.atsol.org/wsMoodle/}"

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def by_token(self, token: str) -> dict[str, str]:
        return self._profile(requests.get(f"{self.base_url}wsmoodle.asmx/MoodleGetUserProfileByToken", params={"token": token}, timeout=10))

    def by_id(self, contact_id: str) -> dict[str, str]:
        return self._profile(requests.post(f"{self.base_url}wsmoodle.asmx/MoodleGetUserProfile", data={"ID": contact_id}, timeout=10))

    def _profile(self, answer: requests.Response) -> dict[str, str]:
        """As such plugins do: any status but 200 is an error, and so is any ResultCode but 0."""
        if answer.status_code != 200:
            raise LookupError(f"{answer.status_code} {answer.headers['Content-Type']}")
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
        profile = ElementTree.fromstring(answer.content)
        if profile.findtext(f"{UTILITIES}ResultCode") != "0":
            raise LookupError(profile.findtext(f"{UTILITIES}ResultMessage"))
        pairs = profile.iterfind(f"{self.namespace}Demographics/{self.namespace}MoodleDemographic")
        more = {pair.findtext(f"{self.namespace}Field") or "": pair.findtext(f"{self.namespace}Value") or "" for pair in pairs}
        fields = {child.tag.removeprefix(self.namespace): child.text or "" for child in profile if child.tag.startswith(self.namespace)}
        return {**{name: value for name, value in fields.items() if name != "Demographics"}, **more}
