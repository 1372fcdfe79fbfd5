"""Many logins, one after the other, and what the workers' memory does: `python -m tests.bench.soak --logins 10000` (F25)."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from tests.bare_browser import BareBrowser, saml_path
from tests.server import Server


def resident_mb(pid: int) -> float:
    """RSS of a process in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def sign_on(server: Server) -> None:
    """A fresh browser, a password, a signed SAML answer."""
    browser = BareBrowser(server.port)
    answer = browser.sign_in(browser.ask("GET", saml_path(server.url))[1])
    assert "SAMLResponse" in answer, answer


def soak(server: Server, logins: int, *, threads: int) -> None:
    """Runs so many, shared among the threads."""

    def run(share: int) -> None:
        for _ in range(share):
            sign_on(server)

    crowd = [threading.Thread(target=run, args=(logins // threads,)) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=1000, help="logins before memory is looked at for the first time")
    parser.add_argument("--rounds", type=int, default=9, help="how often it is looked at after that")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-soak-") as folder:
        server = Server(Path(folder), workers=options.workers)
        try:
            server.command("clients", "add", "saml", "--metadata", f"{folder}/sp.xml", "--id", "lms")
            time.sleep(5)  # running workers know new clients within two seconds, if the machine is not busy
            soak(server, options.warm, threads=options.threads)
            first = {pid: resident_mb(pid) for pid in server.workers()}
            each = (options.logins - options.warm) // options.rounds
            for number in range(1, options.rounds + 1):
                begun = time.monotonic()
                soak(server, each, threads=options.threads)
                now = {pid: resident_mb(pid) for pid in server.workers()}
                growth = ", ".join(f"{pid}: {now[pid]:.1f} MB ({now[pid] - first.get(pid, 0):+.1f})" for pid in sorted(now))
                rate = each / (time.monotonic() - begun)
                print(f"{options.warm + number * each:8} logins, {rate:5.1f}/s; {growth}", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
