"""Imports point down one list, protocols never import a sibling, and each third-party library has one home."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "idp").rglob("*.py"))

LAYERS = [
    {"cli", "demo"},
    {"worker"},
    {"app", "example"},
    {"parts"},
    {"config", "bridges"},
    {"protocols"},
    {"web"},
    {"sso"},
    {"directory", "store", "keys"},
    {"audit", "log", "watch", "errors", "secret", "clock", "settings"},
]
"""From the top down: a module imports from its own layer or a lower one."""

HOMES = {
    "flask": ["web/", "protocols/*/views.py", "protocols/*/*/views.py", "app.py", "worker.py", "demo/"],
    "jinja2": ["web/mail.py"],
    "werkzeug": ["web/", "protocols/*/views.py", "demo/"],
    "saml2": ["protocols/saml/"],
    "lxml": ["protocols/saml/"],
    "pyop": ["protocols/oidc/"],
    "oic": ["protocols/oidc/"],
    "pymongo": ["store/"],
    "bson": ["store/"],
    "fiftyone": ["store/"],
    "urllib3": ["directory/imis_*.py", "web/outbound.py"],
    "cryptography": ["keys/", "protocols/saml/", "protocols/oidc/", "directory/imis_token.py", "demo/"],
    "pydantic": [
        "settings.py",
        "web/vendors/settings.py",
        "config.py",
        "example.py",
        "*/settings.py",
        "protocols/*/settings.py",
        "protocols/*/*/settings.py",
        "*/choice.py",
    ],
    "pydantic_core": ["config.py", "example.py"],
    "publicsuffixlist": ["protocols/cookie/"],
    "granian": ["cli/run.py", "demo/"],
    "click": ["cli/"],
    "onelogin": ["demo/"],
    "authlib": ["demo/"],
    "joserfc": ["protocols/oidc/", "demo/"],
    "requests": ["demo/"],
    "zeep": ["directory/imis_soap.py"],
    "pythonjsonlogger": ["log.py"],
    "prometheus_client": ["web/metric.py"],
    "opentelemetry": ["web/telemetry.py"],
}
"""Each library, and the only places (under idp/) that import it."""


def imports(path: Path) -> list[str]:
    """The dotted names a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.append(node.module or "")
    return found


def layer_of(part: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def inside(path: Path) -> str:
    return path.relative_to(ROOT / "idp").as_posix()


@pytest.mark.parametrize("path", [path for path in SOURCES if inside(path) != "__init__.py"], ids=inside)
def test_imports_point_down_only(path: Path) -> None:
    own = layer_of(inside(path).split("/")[0].removesuffix(".py"))
    wrong = [name for name in imports(path) if name.startswith("idp.") and layer_of(name.split(".")[1]) < own]
    assert not wrong, f"{inside(path)} imports upward: {wrong}"


@pytest.mark.parametrize("path", [path for path in SOURCES if inside(path).startswith("protocols/")], ids=inside)
def test_no_protocol_imports_a_sibling(path: Path) -> None:
    own = inside(path).split("/")[1]
    wrong = [name for name in imports(path) if name.startswith("idp.protocols.") and name.split(".")[2] != own]
    assert not wrong


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_each_library_is_imported_in_its_home_alone(path: Path) -> None:
    for name in imports(path):
        library = name.split(".")[0]
        if library == "idp" or library in sys.stdlib_module_names:
            continue
        assert library in HOMES, f"{inside(path)} imports {library}, which has no home: give it one in this file"
        homes = HOMES[library]
        assert any(inside(path).startswith(home) if home.endswith("/") else path.match(f"idp/{home}") for home in homes), (
            f"{inside(path)} imports {library}, whose home is {homes}"
        )


def test_no_file_has_a_name_that_says_nothing() -> None:
    """design: utils, helpers, common, core, base, manager, misc are signs that a thing has not been understood."""
    empty = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}
    assert not [inside(path) for path in SOURCES if path.stem in empty or path.parent.name in empty]


def test_nobody_uses_current_app_or_imports_inside_functions_without_saying_why() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "current_app" not in text
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        assert "#" in lines[inner.lineno - 1], (
                            f"{inside(path)}:{inner.lineno} imports inside a function and does not say why"
                        )
