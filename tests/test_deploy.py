"""What lies in deploy/: it says what it should, and the programs that are here accept it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEPLOY = Path(__file__).parent.parent / "deploy"
PROXIES = ("nginx.conf", "apache.conf", "Caddyfile", "iis-web.config")


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def test_every_file_that_the_readme_names_is_there() -> None:
    named = {name for row in re.findall(r"^\| (.*?) \|", read("README.md"), re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    assert {"Dockerfile", *PROXIES} <= named
    assert [name for name in named if not (DEPLOY / name).exists()] == []


def test_every_fault_of_the_table_names_tests_that_are_there() -> None:
    tests = "\n".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.rglob("test_*.py"))
    rows = re.findall(r"^\| (F\d+) .* \|(.*?)\|$", read("faults.md"), re.MULTILINE)
    assert [fault for fault, _ in rows] == [f"F{number}" for number in (*range(1, 11), 18, 19, 20, 27, 28)]
    assert [fault for fault, named in rows if not re.search("`test_", named)] == []
    assert [test for _, named in rows for test in re.findall("`(test_.*?)`", named) if f"def {test}(" not in tests] == []


def test_the_image_runs_as_nobody_and_without_the_embedded_database() -> None:
    text = read("Dockerfile")
    assert "USER 10001" in text
    assert "HEALTHCHECK" in text
    assert not re.search(r"embedded\]|fiftyone", text + read("requirements.txt"))


@pytest.mark.parametrize("name", PROXIES)
def test_S119_no_header_of_a_browser_passes_for_one_of_the_proxy(name: str) -> None:
    text = read(name).lower().replace("-", "_")
    for header in ("x_forwarded_for", "forwarded", "x_client_cert"):
        assert re.search(rf"(?<!x_){header}", text), f"{name} leaves {header} as it came"
    assert "proxy_add_x_forwarded_for" not in text


@pytest.mark.parametrize("name", PROXIES)
def test_operators_pages_are_not_passed_on(name: str) -> None:
    assert "metrics" in read(name)
    assert "statusz" in read(name)


def test_the_configuration_for_iis_is_good_xml() -> None:
    assert ElementTree.fromstring(read("iis-web.config")).tag == "configuration"


@pytest.mark.skipif(not shutil.which("nginx") or not shutil.which("openssl"), reason="there is no nginx here")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    certificate = ["-keyout", f"{tmp_path}/privkey.pem", "-out", f"{tmp_path}/fullchain.pem", "-days", "2", "-subj", "/CN=x"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate], check=True, capture_output=True)
    site = (
        re.sub(r"idp-[ab]:", "127.0.0.1:", read("nginx.conf")).replace("/etc/nginx/tls", str(tmp_path)).replace("listen 443", "listen 8443")
    )
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(f"events {{}}\npid {tmp_path}/pid;\nhttp {{ access_log off; include {tmp_path}/site.conf; }}\n")
    done = subprocess.run(["nginx", "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "imis-idp.service"
    unit.write_text(read("imis-idp.service").replace("/opt/imis-idp/bin/idp", "/bin/true").replace("User=imis-idp", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
