"""What members notice of upkeep while they sign in: `python -m tests.bench.upkeep --rate 50 --seconds 60` (F3, F4, F19).

Two instances behind nginx with the configuration of `deploy/`, on one database. Members sign in at a steady rate, each in a fresh browser
with a password. Meanwhile the instances are restarted, one after the other, again and again; with `--keys 30` the signing keys change
every 30 seconds by the calendar in place of that, and two clients of each kind verify what they get by the keys they follow.
Printed: what was asked for and what came, the longest wait, and every failure.
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

from idp.secret import digest
from idp.store.embedded import embedded_store_url
from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.flows.follower import JwksFollower, MetadataFollower
from tests.flows.replica import SecondInstance
from tests.port import free_port
from tests.server import Server

SECRET = "rp's secret, which is long enough"
CLIENTS = f"""
[clients.rp]
secret_sha256 = ["{digest(SECRET)}"]
[clients.rp.oidc]
redirect_uris = ["{REDIRECT_URI}"]
[clients.lms.saml]
metadata = "sp.xml"
"""
CALENDAR = """
[keys]
calendar = ["oidc", "saml"]
current_life = {life}
next_life = 2
retired_life = {retired}
"""
_THREADS = 32
_BETWEEN = 4  # seconds between two restarts; more than the fail_timeout of the configuration


@contextmanager
def nginx_before(ports: list[int], folder: Path) -> Iterator[int]:
    """nginx with the configuration of `deploy/`, but plain http on a port of this machine; the port."""
    port = free_port()
    site = (Path(__file__).parents[2] / "deploy" / "nginx.conf").read_text()
    for name, instance in zip(("idp-a:8080", "idp-b:8080"), ports, strict=True):
        site = site.replace(name, f"127.0.0.1:{instance}")
    site = re.sub(r"listen 443 ssl http2;", f"listen 127.0.0.1:{port};", re.sub(r"ssl_[a-z_]+ .*\n", "\n", site))
    (folder / "site.conf").write_text(site)
    events = "worker_processes 1;\nevents { worker_connections 1024; }\n"
    (folder / "nginx.conf").write_text(f"{events}pid {folder}/pid;\nhttp {{ access_log off; include {folder}/site.conf; }}\n")
    words = ["nginx", "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(words)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Crowd:
    """Members who sign in, so many each second whether or not the ones before are done."""

    def __init__(self, sign_in: Callable[[], None], rate: float) -> None:
        self._sign_in = sign_in
        self._rate = rate
        self.waits: list[float] = []
        self.failures: list[str] = []

    def come(self, until: Callable[[], bool]) -> float:
        """Until it is true; how many seconds it took."""
        begun = time.monotonic()
        with ThreadPoolExecutor(_THREADS) as pool:
            for number in itertools.count():
                if until():
                    break
                pool.submit(self._one, begun + number / self._rate)
                time.sleep(max(0.0, begun + (number + 1) / self._rate - time.monotonic()))
        return time.monotonic() - begun

    def _one(self, meant: float) -> None:
        """The wait counts from the moment that was meant, so that who stands in the queue is not forgotten."""
        try:
            self._sign_in()
            self.waits.append(time.monotonic() - meant)
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {str(error)[:200]}")


def sign_in_at(port: int, url: str) -> Callable[[], None]:
    def sign_in() -> None:
        browser = BareBrowser(port)
        answer = browser.sign_in(browser.ask("GET", saml_path(url))[1])
        assert "SAMLResponse" in answer, words_of(answer)

    return sign_in


def words_of(page: str) -> str:
    """What a member reads on it."""
    return " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())[:300]


def restart_in_turn(instances: list[Server], over: threading.Event) -> int:
    """How many restarts there were."""
    for number, instance in enumerate(itertools.cycle(instances)):
        if over.wait(_BETWEEN):
            return number
        assert instance.stop() == 0
        instance.start()
    return 0


def verify_again_and_again(
    port: int, server: Server, followers: list[JwksFollower], metadata: MetadataFollower, over: threading.Event
) -> None:
    while not over.wait(0.5):
        browser = BareBrowser(port)
        relying = Relying(browser, SECRET)
        answer = browser.sign_in(browser.ask("GET", relying.authorize_path())[1])
        if "code=" not in answer:  # turned away by a server that has too much to do
            continue
        relying.finish(answer)
        for follower in followers:
            follower.verify(relying.tokens[1])
        page = browser.ask("GET", saml_path(server.url))[2]
        if "SAMLResponse" in page:
            metadata.verify(page)
        for follower in (metadata, followers[-1]):
            try:
                follower.read()
            except HTTPError as refused:  # it keeps what it has
                print(f"{type(follower).__name__} was refused: {refused.code} {words_of(refused.read().decode())}")


def report(crowd: Crowd, took: float) -> None:
    waits = sorted(crowd.waits)
    shares = {share: 1000 * waits[min(len(waits) - 1, int(share * len(waits) / 100))] for share in (50, 95, 99)}
    total = len(waits) + len(crowd.failures)
    print(f"{total} logins in {took:.0f} s ({total / took:.1f}/s), {len(crowd.failures)} failed, longest wait {1000 * waits[-1]:.0f} ms")
    print("waits in ms:", ", ".join(f"p{share} {wait:.0f}" for share, wait in shares.items()))
    for failure in crowd.failures[:5]:
        print("  ", failure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="logins a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1, help="of each instance")
    parser.add_argument("--keys", type=int, default=0, help="seconds that a key signs; 0: no change of keys, but restarts")
    options = parser.parse_args()
    calendar = CALENDAR.format(life=options.keys, retired=max(2 * options.keys, 30)) if options.keys else ""
    with tempfile.TemporaryDirectory(prefix="idp-upkeep-") as name, embedded_store_url(Path(name) / "database") as url:
        folder = Path(name)
        first = Server(folder, workers=options.workers, more=f'[store]\nurl = "{url}"\n{calendar}{CLIENTS}')
        second = SecondInstance(first)
        over = threading.Event()
        try:
            with nginx_before([first.port, second.port], folder) as port, ThreadPoolExecutor(1) as beside:
                crowd = Crowd(sign_in_at(port, first.url), options.rate)
                followers = [JwksFollower(first.url, again=True), JwksFollower(first.url, again=False)]
                metadata = MetadataFollower(first.url)
                ending = time.monotonic() + options.seconds
                if options.keys:
                    work = beside.submit(verify_again_and_again, port, first, followers, metadata, over)
                else:
                    restarts = beside.submit(restart_in_turn, [second, first], over)
                took = crowd.come(lambda: time.monotonic() >= ending)
                over.set()
                if options.keys:
                    work.result()
                    for follower in (*followers, metadata):
                        name = type(follower).__name__
                        print(f"{name}: {follower.kids.total()} verified by {len(follower.kids)} keys, failures: {follower.failures}")
                else:
                    print(f"{restarts.result()} restarts")
                report(crowd, took)
        finally:
            second.stop()
            first.stop()


if __name__ == "__main__":
    main()
