"""The same as test_browser.py in another engine: what other sites get out of the ping. No driver: the pages tell what they see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from .test_browser import page, running
from .wiring import World, make_client

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

POLICIES = ("", "unsafe-url", "no-referrer")
PREFERENCES = {
    "network.cookie.cookieBehavior": 0,  # cookies go along to other sites: what our checks are for
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
}
_ASKING = """<!doctype html><title>A page</title><link rel=icon href=data:,><body><script>
const script = (policy) => new Promise((told) => {
  window.cb = told;
  const element = document.createElement("script");
  element.referrerPolicy = policy;
  element.onerror = () => told("refused");
  element.onload = () => told("no answer");
  element.src = IDP + "/jsonp/ping?client=journal&callback=cb";
  document.head.append(element);
});
const read = () => fetch(IDP + "/jsonp/fetch?client=journal", {credentials: "include"}).then((answer) => answer.json(), () => "refused");
(async () => {
  const told = {};
  for (const policy of POLICIES) told[policy] = await script(policy);
  told.fetch = await read();
  await fetch("/told", {method: "POST", body: JSON.stringify(told)});
  location = NEXT;
})();
</script>"""


class Sites:
    """The registered page and the evil one: each asks in all ways, and tells what came of it."""

    def __init__(self, idp: str) -> None:
        self.idp = idp
        self.told: Queue[tuple[str, dict[str, Any]]] = Queue()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        if environ["PATH_INFO"] == "/told":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            self.told.put((environ["HTTP_HOST"].partition(".")[0], json.loads(body)))
            return [b""]
        onward = parse_qs(environ["QUERY_STRING"]).get("next", ["about:blank"])[0]
        values = {"IDP": self.idp, "POLICIES": POLICIES, "NEXT": onward}
        constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        return [_ASKING.replace("<script>", f"<script>{constants}", 1).encode()]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """What the two pages were told in a Firefox in which Anne is signed in."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Firefox to test with")
        pytest.skip("no Firefox to test with")
    ours = running(page)
    url = f"http://idp.assoc.localhost:{ours.port}"
    sites = Sites(url)
    street = running(sites)
    journal, evil = (f"http://{name}.localhost:{street.port}" for name in ("journal", "evil"))
    world = World(tmp_path, [make_client("journal", "jsonp", origins=(journal,))], url=url)
    cookies = [f"{name}={value}" for name, value in _cookies(world).items()]
    ours.app = _entered(world, cookies)
    (tmp_path / "profile").mkdir()
    written = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (tmp_path / "profile" / "user.js").write_text(written)
    first = f"{journal}/?{urlencode({'next': f'{evil}/?{journal}/'})}"
    firefox = subprocess.Popen(
        [program, "--headless", "--no-remote", "--profile", str(tmp_path / "profile"), f"{url}/enter?{urlencode({'to': first})}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(tmp_path), "MOZ_CRASHREPORTER_DISABLE": "1"},
    )
    try:
        yield dict(sites.told.get(timeout=90) for _ in range(2))
    finally:
        firefox.terminate()
        firefox.wait(20)
        for server in (ours, street):
            server.shutdown()
            server.server_close()
        world.store.close()


def _cookies(world: World) -> dict[str, str]:
    visitor = world.signed_in()
    return {name: visitor.cookie(name) for name in ("idp_session", "__Host-idp_ping")}


def _entered(world: World, cookies: list[str]) -> Any:
    """Our server, with a page that puts Anne's cookies into the browser as ours does after her sign-in."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/enter":
            return world.app(environ, start_response)
        kinds = ("; Path=/; HttpOnly; SameSite=Lax", "; Path=/; HttpOnly; Secure; SameSite=None")
        sent = [("Set-Cookie", cookie + kind) for cookie, kind in zip(cookies, kinds, strict=True)]
        start_response("302 Found", [("Location", parse_qs(environ["QUERY_STRING"])["to"][0]), *sent])
        return [b""]

    return serve


def test_S101_S104_in_Firefox_the_registered_page_gets_an_answer_and_other_sites_get_none(told: dict[str, dict[str, Any]]) -> None:
    journal = told["journal"]
    assert [journal[way]["signedIn"] for way in ("", "unsafe-url", "fetch")] == [True] * 3
    assert journal["no-referrer"] == "refused"
    assert set(told["evil"].values()) == {"refused"}
