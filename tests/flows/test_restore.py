"""The whole machine is lost: after a restore vendors know members by the names they had, and the audit log from before still proves
itself."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest

from tests.bare_browser import BareBrowser, saml_path
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

CLIENTS = """
[clients.lms.saml]
metadata = "sp.xml"
name_id_format = "persistent"
"""


def name_id(server: Server) -> str:
    """By which a fresh browser's member is known to the SAML application."""
    browser = BareBrowser(server.port)
    page = browser.sign_in(browser.ask("GET", saml_path(server.url))[1])
    (encoded,) = re.findall(r'name="SAMLResponse" value="([^"]+)"', page)
    (found,) = re.findall(r"<(?:\w+:)?NameID[^>]*>([^<]+)<", base64.b64decode(encoded).decode())
    assert found != "101"
    return str(found)


def test_after_a_restore_members_are_who_they_were_and_nobody_is_signed_in(mongod: Path, tmp_path: Path) -> None:
    folder, archive = tmp_path / "server", tmp_path / "idp.tar.gz"
    folder.mkdir()
    server = Server(folder, workers=1, more=CLIENTS)
    try:
        server.command("clients", "add", "token", "--id", "events", "--return-url", "https://events.example.org/sso")
        name = name_id(server)
        member = BareBrowser(server.port)
        member.sign_in("/login")
        made = server.command("backup", str(archive))
        assert made["records"] > 0
        server.stop()
        for lost in ("data", "keys"):
            shutil.rmtree(folder / lost)
        restored = server.command("restore", str(archive))
        assert restored["records"]["subject_name"] >= 1
        server.start()
        assert name_id(server) == name
        assert "events" in {each["id"] for each in server.command("clients", "list")["clients"]}
        assert "You are signed in" not in member.again().ask("GET", "/")[2]
        server.stop()
        told = server.command("audit", "verify", str(folder / "server.log"))
        assert (told["ok"], told["problems"]) == (True, [])
        assert told["events"] > 4, "from before and after"
    finally:
        server.stop()
