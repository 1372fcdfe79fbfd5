"""Writes `deploy/idp.example.toml` from the types in `config`: `python -m idp.example`. A test compares the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from idp.config import PROTOCOLS, ClientTable, Config
from idp.secret import Secret

_HEAD = """# imis-idp: every setting, with its default. What is commented out is the default; `idp check` says what is wrong, with the line.
# Each setting of a section can be given by the environment too: IDP_SESSION_IDLE=30m goes over `idle` of [session].
# A secret is never written here: secret = { env = "NAME" } or { file = "PATH" }. Relative paths count from this file.
"""
_REQUIRED = {"server.url": '"https://login.example.org"'}
_SUGGESTED = {"directory.kind": '"imis-rest"'}  # has no default, and what goes with it cannot be guessed
_CLIENTS = {
    "saml": ("lms", "Learning center"),
    "oidc": ("community", "Community"),
    "token": ("events", "Events"),
    "cookie": ("website", "Website"),
    "jsonp": ("journal", "Journal"),
}


def example() -> str:
    """The whole example file."""
    parts = [_HEAD]
    for name, field in Config.model_fields.items():
        if name != "clients":
            parts.append(_section(name, _type_of(field.annotation), field.description or ""))
    parts += [_client(protocol) for protocol in PROTOCOLS]
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel], description: str) -> str:
    lines = [f"# {description}", f"[{name}]"]
    for key, field in model.model_fields.items():
        lines += [*_comment(field.description), _line(f"{name}.{key}", key, field.get_default(call_default_factory=True), commented=True)]
    return "\n".join(lines) + "\n"


def _client(protocol: str) -> str:
    client_id, name = _CLIENTS[protocol]
    fields = ClientTable.model_fields
    lines = [f"# {fields[protocol].description}", f"# [clients.{client_id}]", f'# name = "{name}"']
    for key in ("url", "bridge", "bridge_values", "release", "max_age", "grace", "consent", "secret", "old_secret", "secret_sha256"):
        lines += [*_comment(fields[key].description), _line("", key, fields[key].get_default(call_default_factory=True), commented=True)]
    for part in {"saml": ("saml", "entry"), "token": ("token", "fedcm")}.get(protocol, (protocol,)):
        lines += _table(f"clients.{client_id}.{part}", _type_of(fields[part].annotation), only_there=protocol == "token")
    return "\n".join(lines) + "\n"


def _table(name: str, model: type[BaseModel], *, only_there: bool) -> list[str]:
    """A client's table, and the tables in it. One that is absent by default is shown where `only_there` says so: once."""
    lines, inner = [f"# [{name}]"], []
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        nested = _nested(field.annotation)
        if nested is None:
            lines += [*_comment(field.description), _line("", key, default, commented=True)]
        elif default is not None or only_there:
            inner += [*_comment(field.description), *_table(f"{name}.{key}", nested, only_there=only_there)]
    return lines + inner


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The type of a table in a table."""
    parts = (annotation, *getattr(annotation, "__args__", ()))
    return next((each for each in parts if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _type_of(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(each for each in annotation.__args__ if isinstance(each, type) and issubclass(each, BaseModel))


def _comment(text: str | None) -> list[str]:
    return [f"# {line.strip()}" for line in (text or "").splitlines() if line.strip()]


def _line(path: str, key: str, default: Any, *, commented: bool) -> str:
    if path in _REQUIRED:
        return f"{key} = {_REQUIRED[path]}"
    if path in _SUGGESTED:
        return f"# {key} = {_SUGGESTED[path]}"
    if default is None or default is PydanticUndefined:
        return f"# {key} ="
    return f"{'# ' if commented else ''}{key} = {_toml(default)}"


def _toml(value: Any) -> str:
    """A default as TOML; all defaults are texts, numbers, booleans, paths, lists or flat tables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Secret):
        return _toml(value.reveal())  # a default is no secret
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }" if value else "{}"
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


if __name__ == "__main__":
    print(example(), end="")
