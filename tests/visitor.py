"""A browser in front of an application under test, and what it reads in our pages."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.standin import PASSWORD


class Served(Protocol):
    """An association under test."""

    url: str
    app: Flask


class Visitor:
    """A browser with its cookies."""

    def __init__(self, world: Served) -> None:
        self.url = world.url
        self.http: FlaskClient = world.app.test_client()

    def get(self, path: str, **keywords: Any) -> TestResponse:
        return self.http.get(path.removeprefix(self.url), base_url=self.url, **keywords)

    def post(self, path: str, **keywords: Any) -> TestResponse:
        return self.http.post(path.removeprefix(self.url), base_url=self.url, **keywords)

    def sign_in(self, page: str = "/login", username: str = "anne") -> TestResponse:
        """Fills in the sign-in page, and follows its first step onward."""
        shown = self.get(page).text
        fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', shown))
        return self.get(self.post("/login", data={**fields, "username": username, "password": PASSWORD}).location)

    def cookie(self, name: str) -> str:
        found = self.http.get_cookie(name, domain=urlsplit(self.url).hostname or "")
        return found.value if found else ""

    def session_id(self) -> str:
        prefix = "__Host-" if self.url.startswith("https:") else ""
        return self.cookie(f"{prefix}idp_session").partition(".")[0]


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]*)"', page)
    assert found, page
    return found[1]


def posted(response: TestResponse) -> tuple[str, dict[str, str]]:
    """Where the page's form goes, and its fields."""
    assert response.status_code == 200, response.text
    action = re.search(r'<form method="post" action="([^"]*)"', response.text)
    assert action, response.text
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', response.text)
    return unescape(action[1]), {unescape(name): unescape(value) for name, value in fields}
