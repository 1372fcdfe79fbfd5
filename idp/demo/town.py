"""Starts and stops the whole demo: the simulated iMIS, the sign-in service in a process of its own, the vendors and the start page."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from wsgiref.types import WSGIApplication

import requests

from idp.cli.output import result, say
from idp.demo.account import read_accounts, service_account
from idp.demo.address import LOOPBACK, MAILBOX_HOST, PORTAL_HOSTS, Addresses
from idp.demo.configuration import Prepared, prepare
from idp.demo.host import Hosts
from idp.demo.imis import create_imis, serving
from idp.demo.mailbox import Mailbox, mailbox_site, receiving
from idp.demo.portal import portal_site
from idp.demo.resolver import stay_on_this_machine
from idp.demo.vendors import CMS, COMMUNITY, EVENTS, JOURNAL, LMS, STORE
from idp.demo.vendors.cookie import cookie_site
from idp.demo.vendors.jsonp import jsonp_site
from idp.demo.vendors.oauth import oauth_site
from idp.demo.vendors.openid import openid_site
from idp.demo.vendors.saml import saml_site
from idp.demo.vendors.token import token_site
from idp.demo.way import Way, simulator_settings
from idp.errors import IdpError

PEOPLE = Path(__file__).with_name("people.toml")
_READY = 60.0  # seconds until the sign-in service must be ready; it takes two or three
_DRAIN = 10.0  # seconds that it may take to stop
_LOOK_AGAIN = 0.1
_LAST_LINES = 15


def run_demo(port: int, data: Path, way: Way = "form") -> None:
    """`way` is how members sign in.

    Runs until Ctrl-C or SIGTERM; `data` keeps keys, sessions and secrets for the next time. Raises IdpError."""
    addresses, folder = Addresses(port), data.absolute()
    stopping = _told_to_stop()
    with ExitStack() as town:
        town.enter_context(_alone(folder))
        addresses.require_free()
        _log_to(folder / "log" / "vendors.log")
        stay_on_this_machine()
        service = service_account(PEOPLE)
        mailbox = Mailbox()
        mail_port = town.enter_context(receiving(mailbox))
        prepared = prepare(
            folder, addresses, service_username=service.username, service_password=service.password, mail_port=mail_port, way=way
        )
        process = town.enter_context(_sign_in_service(prepared.file, folder / "log" / "idp.log"))
        imis = create_imis(PEOPLE, simulator_settings(way, addresses, prepared.client_secret))
        town.enter_context(serving(imis, port=addresses.imis_port))
        town.enter_context(serving(Hosts(_sites(addresses, prepared, folder, mailbox)), port=addresses.port))
        _await_ready(process, addresses, folder / "log" / "idp.log", stopping)
        if not stopping.is_set():
            _announce(addresses, folder)
        _watch(process, folder / "log" / "idp.log", stopping)
    say("The demo has stopped.")


def _sites(addresses: Addresses, prepared: Prepared, folder: Path, mailbox: Mailbox) -> dict[str, WSGIApplication]:
    """Every site by its host name."""
    secrets = prepared.secrets
    portal = portal_site(addresses, read_accounts(PEOPLE), folder)
    return {
        **dict.fromkeys(PORTAL_HOSTS, portal),
        MAILBOX_HOST: mailbox_site(mailbox),
        LMS.host: saml_site(addresses, prepared.provider_key),
        COMMUNITY.host: openid_site(addresses, secrets[COMMUNITY.id]),
        EVENTS.host: oauth_site(addresses, secrets[EVENTS.id]),
        STORE.host: token_site(addresses, secrets[STORE.id]),
        CMS.host: cookie_site(addresses, secrets[CMS.id]),
        JOURNAL.host: jsonp_site(addresses, secrets[JOURNAL.id]),
    }


def _told_to_stop() -> threading.Event:
    """Set by Ctrl-C, SIGTERM, or the end of the terminal."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two demos on one folder would write over each other's idp.toml. Raises IdpError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w", encoding="utf-8")  # noqa: SIM115  it is closed below, after the demo
    except OSError as error:
        raise IdpError("demo.data_unusable", f"The data folder {folder} cannot be used: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another demo runs on {folder}. Stop it, or choose another folder with --data DIR."
            raise IdpError("demo.data_in_use", message) from None
        yield


def _log_to(file: Path) -> None:
    """What the vendors' server has to say goes to a file; the console stays quiet."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    logging.basicConfig(filename=file, level=logging.INFO, format="%(asctime)s %(name)s %(message)s", force=True)


@contextmanager
def _sign_in_service(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`idp.demo.server` in a session of its own: Ctrl-C is for us, who then end it in its turn. It ends with us in any case."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}  # they would go over the file
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "idp.demo.server", str(config), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=_DRAIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], addresses: Addresses, log: Path, stopping: threading.Event) -> None:
    """Raises IdpError with the end of its log when it does not become ready."""
    ending = time.monotonic() + _READY
    while not stopping.is_set() and not _is_ready(addresses):
        if process.poll() is not None or time.monotonic() > ending:
            raise _failed("The sign-in service did not start.", log)
        stopping.wait(_LOOK_AGAIN)


def _is_ready(addresses: Addresses) -> bool:
    try:
        return requests.get(f"http://{LOOPBACK}:{addresses.idp_port}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def _watch(process: subprocess.Popen[bytes], log: Path, stopping: threading.Event) -> None:
    """Comes back when the demo is to stop. Raises IdpError when the sign-in service has ended by itself."""
    while not stopping.wait(_LOOK_AGAIN):
        if process.poll() is not None:
            raise _failed("The sign-in service has ended.", log)


def _failed(message: str, log: Path) -> IdpError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return IdpError("demo.service_failed", "\n".join([f"{message} The end of {log}:", *lines]), status=500)


def _announce(addresses: Addresses, folder: Path) -> None:
    say(f"The demo runs. Open {addresses.portal}/ in a browser on this machine.")
    say("1. Open a vendor and press Sign in; the accounts are listed on that page.")
    say("2. Open the others and press Sign in: no password is asked again.")
    say("3. Sign out at any of them: you are signed out everywhere. Ctrl-C stops the demo.")
    result({"url": f"{addresses.portal}/", "idp": addresses.idp, "imis": addresses.imis, "data": str(folder)})
