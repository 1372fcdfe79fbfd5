"""Real sites under real names, with TLS, on one loopback port: the sign-in service, applications whose pages hold sso-check, a stranger."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.demo.host import Hosts
from idp.web.check import integrity
from tests.fedcm.association import EVIL, JOURNAL, LMS, LOGIN, PORTAL, SECRET, Association

_PAGE = """<!doctype html><title>A page</title><link rel=icon href=data:,>
<p id=state>{state}</p><p data-sso=in hidden>Welcome <b data-sso=name></b></p><a data-sso=sign-in id=sign-in href=/sign-in>Sign in</a>
<script>document.addEventListener("sso-check", (event) => {{ document.title = "way:" + event.detail.way; }});</script>
{script}"""
_SCRIPT = (
    '<script src="{login}/sso-check/1.js" integrity="{hash}" crossorigin=anonymous data-client={client} data-kind={kind} {more}></script>'
)


class Sites:
    """What runs, and what the sign-in service was asked: (method, path, status, Origin, names of cookies)."""

    def __init__(self, association: Association, folder: Path) -> None:
        self.association = association
        self.certificate = folder / "certificate.pem"
        self.spki = make_certificate(self.certificate)
        self.asked: list[tuple[str, str, int, str, tuple[str, ...]]] = []
        self.port = 0
        association.app.after_request(self._note)
        apex = Flask("apex")
        apex.get("/.well-known/web-identity")(lambda: self._well_known())
        self.app = Hosts(
            {
                "assoc.test": apex,
                _host(LOGIN): association.app,
                _host(LMS): token_site(association),
                _host(JOURNAL): script_site("journal"),
                _host(PORTAL): script_site("portal"),
                _host(EVIL): empty_site(),
            }
        )

    def _well_known(self) -> Response:
        """The one file that the association's own web server has to serve."""
        found = self.association.app.test_client().get("/.well-known/web-identity", base_url=LOGIN)
        return Response(found.data, mimetype="application/json")

    def _note(self, response: Response) -> Response:
        names = tuple(sorted(request.cookies))
        self.asked.append((request.method, request.path, response.status_code, request.headers.get("Origin", ""), names))
        return response

    @contextmanager
    def serving(self) -> Iterator[Sites]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        server = make_server("127.0.0.1", 0, self.app, threaded=True, ssl_context=context, request_handler=_Quiet)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        return None


def make_certificate(file: Path) -> str:
    """A key and a certificate for all names; the hash of its key, by which a browser can be told to trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "assoc.test")])
    names = [x509.DNSName(each) for each in ("assoc.test", *(_host(url) for url in (LOGIN, LMS, JOURNAL, EVIL, PORTAL)))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def token_site(association: Association) -> Flask:
    """A vendor that takes a token on its return URL. It does not know by which way the token came, but for this test notes it."""
    app = Flask("lms")

    @app.get("/")
    def start() -> str:
        who, way = request.cookies.get("who", ""), request.cookies.get("way", "")
        if who:
            return _PAGE.format(state=f"{who} by {way}", script="")
        return _page_of("lms", "token", "data-return=/signed-in")

    @app.route("/signed-in", methods=["GET", "POST"])
    def signed_in() -> Response:
        if request.args.get("signed_in") == "0":
            return redirect(f"{LMS}/?signed_in=0", 303)  # type: ignore[return-value]
        server = association.app.test_client(use_cookies=False)
        token = {"token": request.form.get("token", "")}
        told = server.post("/service/redeem", base_url=LOGIN, data=token, auth=("lms", SECRET))
        response = redirect(f"{LMS}/", 303)
        if told.status_code == 200:
            response.set_cookie("who", str((told.json or {})["attributes"]["full_name"]))
            response.set_cookie("way", "fedcm" if request.headers.get("Origin") == LMS else "gateway")
        return response  # type: ignore[return-value]

    @app.get("/sign-out")
    def sign_out() -> Response:
        """Here alone."""
        response = jsonify(done=True)
        response.delete_cookie("who")
        return response

    @app.get("/empty")
    def empty() -> str:
        return "<!doctype html><title>empty</title><link rel=icon href=data:,><body></body>"

    return app


def script_site(client_id: str) -> Flask:
    """A vendor whose page asks by a script."""
    app = Flask(client_id)
    app.get("/")(lambda: _page_of(client_id, "jsonp", "data-return=/"))
    return app


def empty_site() -> Flask:
    """A stranger's page, whose script the test writes."""
    app = Flask("evil")
    app.get("/")(lambda: "<!doctype html><title>evil</title><link rel=icon href=data:,><body></body>")
    return app


def _page_of(client: str, kind: str, more: str) -> str:
    more += f' data-ways="{request.args["ways"]}"' if "ways" in request.args else ""
    return _PAGE.format(state="", script=_SCRIPT.format(login=LOGIN, hash=integrity(), client=client, kind=kind, more=more))


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
