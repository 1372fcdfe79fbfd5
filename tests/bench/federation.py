"""What a large federation costs: `python -m tests.bench.federation`. Time and memory of the importing process, and what requests feel."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from idp.keys import KeyRing
from tests.bare_browser import BareBrowser, saml_path
from tests.bench.aggregate import entity, write_aggregate
from tests.server import IDP, SP_METADATA, Server

_FEDERATION = """
[saml.federation.edu]
file = "federation.xml"
certificate = "federation.pem"
members = "all"
"""


def write_edition(folder: Path, count: int, *, changed: int = 0) -> int:
    """A signed aggregate of so many entities, the first `changed` of which are not as before; its size in bytes."""
    key = KeyRing(folder / "federation-keys")
    key.create_if_empty(common_name="federation")
    certificate = key.current.certificate_base64
    others = (
        entity(number, certificate).replace("University ", "Institute ") if number < changed else entity(number, certificate)
        for number in range(count)
    )
    with open(folder / "new.xml", "w+b") as file:
        write_aggregate(
            file, (text for part in ([SP_METADATA], others) for text in part), key.current, valid_until=int(time.time()) + 86400
        )
    (folder / "federation.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n")
    (folder / "new.xml").replace(folder / "federation.xml")
    return (folder / "federation.xml").stat().st_size


def import_once(server: Server) -> str:
    """Runs the command and says what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    command = [*IDP, "clients", "refresh", "edu", "--config", str(server.folder / "idp.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak, latencies = 0, []
    while process.poll() is None:
        peak = max(peak, _high_water(process.pid))
        latencies.append(one_request(server))
        time.sleep(0.02)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = " ".join((process.stdout.read() if process.stdout else "").split())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    worst = statistics.quantiles(latencies, n=20)[-1] if len(latencies) > 1 else 0.0
    felt = f"a request meanwhile {_ms(latencies)}, one of twenty over {worst * 1000:.0f} ms"
    return f"{said}: {wall:.1f} s, {cpu:.1f} s CPU, at most {peak} MB; {felt}"


def one_request(server: Server) -> float:
    """Seconds until a member of the federation is sent to the sign-in page."""
    browser = BareBrowser(server.port)
    begun = time.monotonic()
    browser.ask("GET", saml_path(server.url))
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as name:
        folder = Path(name)
        write_edition(folder, 1)
        server = Server(folder, workers=2, more=_FEDERATION)
        try:
            import_once(server)
            quiet = [one_request(server) for _ in range(50)]
            print(f"a request before: {_ms(quiet)}; worker memory {_workers(server)} MB", flush=True)
            print(f"{write_edition(folder, options.entities) / 1e6:.1f} MB, {options.entities} entities", flush=True)
            print(f"first import: {import_once(server)}", flush=True)
            write_edition(folder, options.entities, changed=50)
            print(f"next edition: {import_once(server)}", flush=True)
            print(f"a request after: {_ms([one_request(server) for _ in range(50)])}; worker memory {_workers(server)} MB", flush=True)
        finally:
            server.stop()


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


def _workers(server: Server) -> list[int]:
    return [_high_water(pid) for pid in server.workers()]


def _high_water(pid: int) -> int:
    """The most memory that the process ever had, in MB."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    main()
