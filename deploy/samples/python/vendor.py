"""A vendor's site that signs members in by imis-idp. Standard library alone: python3 vendor.py 8080"""

import base64
import hashlib
import hmac
import html
import json
import os
import secrets
import sys
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

IDP = os.environ["IDP_URL"]
SERVICE = os.environ.get("IDP_SERVICE_URL", IDP)
SITE = os.environ["SITE_URL"]
SECRET = os.environ["IDP_SECRET"]

SESSIONS = {}  # our cookie's value -> profile; a real site has a database
SEEN = {}  # logout notices by their id -> when to forget them


class Refused(Exception):
    """What we tell the member, or the caller."""


def redeem(client, token, arrived_at):
    """The member's profile for a token. The token is spent, whatever comes next."""
    body = urlencode({"token": token, "return": arrived_at}).encode()
    credentials = base64.b64encode(f"{client}:{SECRET}".encode()).decode()
    request = Request(f"{SERVICE}/service/redeem", data=body, headers={"Authorization": f"Basic {credentials}"})
    try:
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except HTTPError as error:
        told = json.load(error)
        raise Refused(f"Sign-in failed: {told['message']} ({told['error']}, reference {told['reference']})") from None


def check_notice(token):
    """The claims of a logout notice. Raises Refused unless all of it is right (OpenID Connect Back-Channel Logout 1.0, 2.6)."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(decode(head)), json.loads(decode(body))
        key = next(key for key in signing_keys() if key["kid"] == header["kid"] and key["kty"] == "RSA")
        good = header["alg"] == "RS256" and header["typ"] == "logout+jwt" and is_signed(key, f"{head}.{body}".encode(), decode(signature))
        good = good and claims["iss"] == IDP and claims["aud"] == "sample-token" and claims["exp"] > time.time()
        good = good and "http://schemas.openid.net/event/backchannel-logout" in claims["events"] and "nonce" not in claims
        session, notice = claims["sid"], claims["jti"]
    except (ValueError, KeyError, TypeError, StopIteration):
        raise Refused("This is no logout notice.") from None
    if not good or notice in SEEN:
        raise Refused("This logout notice is not good.")
    for old in [each for each, end in SEEN.items() if end < time.time()]:
        del SEEN[old]
    SEEN[notice] = claims["exp"]
    return session


def signing_keys():
    """The keys that the sign-in service publishes. A real site keeps them for an hour, and asks again for a kid that it does not know."""
    with urlopen(f"{SERVICE}/oauth/jwks", timeout=10) as answer:
        return json.load(answer)["keys"]


def is_signed(key, message, signature):
    """RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2). The whole of the padding is compared, nothing is parsed."""
    modulus, exponent = (int.from_bytes(decode(key[name]), "big") for name in ("n", "e"))
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    found = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    return hmac.compare_digest(found, b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest)


def decode(text):
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


PAGE = """<!doctype html><title>Sample</title><p id="who"><a href="/login">Sign in</a></p>
<script>
const enter = answer => { if (answer.signedIn) document.getElementById("who").textContent = "You are signed in."; };
fetch("IDP/jsonp/fetch?client=sample-jsonp", { credentials: "include" })
  .then(answer => answer.json()).then(enter)
  .catch(() => {  // an old browser: by a script element
    const script = document.createElement("script");
    script.src = "IDP/jsonp/ping?client=sample-jsonp&callback=enter";
    window.enter = enter;
    document.head.append(script);
  });  // where neither gets through, the link stays
</script>""".replace("IDP", IDP)


class Vendor(BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/":
            profile = SESSIONS.get(self.cookie("vendor"))
            self.say(greeting(profile) if profile else "You are not signed in.")
        elif path == "/login":
            self.go(f"{IDP}/token/signon?{urlencode({'client': 'sample-token', 'return': SITE + '/sso'})}")
        elif path == "/cookie":
            self.enter("sample-cookie", self.cookie("idp_sample-cookie"), f"{SITE}/cookie")
        elif path == "/page":
            self.say(PAGE)
        elif path == "/logout":
            SESSIONS.pop(self.cookie("vendor"), None)
            self.go(f"{IDP}/token/logout?{urlencode({'client': 'sample-token', 'return': SITE + '/sso'})}")
        else:
            self.say("There is no such page.", 404)

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length", 0)), 10_000)
        fields = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode("ascii", "replace")).items()}
        if self.path == "/sso":
            self.enter("sample-token", fields.get("token", ""), f"{SITE}/sso")
        elif self.path == "/logout-notice":
            self.end(fields.get("logout_token", ""))
        else:
            self.say("There is no such page.", 404)

    def enter(self, client, token, arrived_at):
        try:
            profile = redeem(client, token, arrived_at)
        except Refused as refused:
            return self.say(html.escape(str(refused)), 400)
        session = secrets.token_urlsafe(32)  # always a new one
        SESSIONS[session] = profile
        return self.say(greeting(profile), cookie=f"vendor={session}; Path=/; HttpOnly; SameSite=Lax" + "; Secure" * SITE.startswith("https:"))

    def end(self, token):
        """Our server is called by the sign-in service: there is no browser here."""
        try:
            ended = check_notice(token)
        except Refused as refused:
            return self.say(str(refused), 400)
        for ours in [ours for ours, profile in SESSIONS.items() if profile["session"] == ended]:
            del SESSIONS[ours]
        return self.say("Done.")

    def cookie(self, name):
        found = SimpleCookie(self.headers.get("Cookie", "")).get(name)
        return found.value if found else ""

    def say(self, text, status=200, cookie=""):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(text.encode())

    def go(self, url):
        self.send_response(302)
        self.send_header("Location", url)
        self.end_headers()


def greeting(profile):
    return f"Welcome, {html.escape(profile['attributes'].get('full_name', 'member'))} ({html.escape(profile['subject'])})"


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Vendor).serve_forever()
