"""A simulated iMIS on a port of its own, its panel, and the directory that asks it: what the tests of the directory share."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import idp.demo
from idp.clock import Now
from idp.demo.imis import SimulatorSettings, create_imis, serving
from idp.directory.choice import DirectorySettings
from idp.secret import Secret

PEOPLE = Path(str(idp.demo.__file__)).with_name("people.toml")
SERVICE = "idp-service"
DEMO = Secret("demo")
NOON = 1_800_000_000


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: int = NOON

    def __call__(self) -> int:
        return self.time


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class _Staying(urllib.request.HTTPRedirectHandler):
    """Does not go where a redirect leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class SimulatedImis:
    """One that runs."""

    url: str

    def ask(self, method: str, path: str, *, body: Any = None, form: Mapping[str, str] | None = None, token: str = "") -> Answer:
        """Any request, as a vendor's program would send it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if form is not None:
            data, headers["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answer(response.status, dict(response.headers), response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())

    def browse(self, method: str, path: str, *, form: Mapping[str, str] | None = None, cookie: str = "") -> Answer:
        """A request of a browser's, which shows redirects and does not follow them."""
        request = urllib.request.Request(self.url + path, data=urlencode(form).encode() if form else None, method=method)
        if cookie:
            request.add_header("Cookie", cookie)
        try:
            with urllib.request.build_opener(_Staying).open(request, timeout=10) as response:
                return Answer(response.status, dict(response.headers), response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())

    def order(self, mode: str, **fault: Any) -> None:
        """From now on this fault."""
        answer = self.ask("POST", "/_simulator/fault", body={"mode": mode, **fault})
        assert answer.status == 200, answer.text

    def purge(self) -> None:
        self.ask("POST", "/_simulator/purge", body={})

    def change(self, person_id: str, **change: Any) -> None:
        answer = self.ask("POST", f"/_simulator/people/{person_id}", body=change)
        assert answer.status == 200, answer.text

    def change_query(self, path: str, column: str, kind: str = "") -> None:
        """A column gets another type; without one it is gone."""
        answer = self.ask("POST", "/_simulator/query", body={"path": path, "column": column, "type": kind})
        assert answer.status == 200, answer.text

    def password_checks(self, username: str) -> int:
        found = self._counters()["password_checks"].get(username, 0)
        assert isinstance(found, int)
        return found

    def tokens_issued(self) -> int:
        return sum(self._counters()["tokens_issued"].values())

    def requests(self, beginning: str = "") -> int:
        """How many requests came whose method and path begin so."""
        return sum(count for request, count in self._counters()["requests"].items() if request.startswith(beginning))

    def _counters(self) -> Any:
        return self.ask("GET", "/_simulator/").json


@contextmanager
def simulated_imis(people: Path = PEOPLE, settings: SimulatorSettings | None = None, *, now: Now) -> Iterator[SimulatedImis]:
    """Runs one for as long as the block; what waits in a fault is let go at its end."""
    with serving(create_imis(people, settings, now=now)) as url:
        imis = SimulatedImis(url)
        try:
            yield imis
        finally:
            imis.order("none")


def rest_settings(url: str, **changes: Any) -> DirectorySettings:
    """[directory] for that iMIS, with short waits."""
    given = {"kind": "imis-rest", "site_url": url, "allow_http": True, "service_username": SERVICE, "service_password": DEMO}
    return DirectorySettings.model_validate({**given, **changes})


def soap_settings(url: str, **changes: Any) -> DirectorySettings:
    """[directory] for that iMIS as a 2017 one, with attributes by its REST interface under the scheduler's root."""
    return rest_settings(url, **{"kind": "imis-soap", "api_base": f"{url}/Asi.Scheduler_iMIS", **changes})
