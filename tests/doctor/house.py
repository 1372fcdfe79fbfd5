"""A deployment in good order, in a folder: tests change a line, or break a thing, and hear what the doctor says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from idp.cli.doctor import Advice, Patient, examine
from idp.clock import utc_now
from idp.config import Loaded, load
from idp.keys import USES, KeyRing
from idp.parts import Parts, build_parts
from idp.store import Store
from idp.store.sqlite import SqliteStore

USUAL = {"server.not_production"}
"""What is said of the house in good order: it is a trial, or it could have no built-in people."""


@dataclass
class House:
    folder: Path
    store: Store
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    later: int = 0
    """Seconds that have passed since everything was set up."""

    def put(self, section: str, **values: str) -> None:
        """Lines of the configuration, as TOML has them."""
        self.settings.setdefault(section, {}).update(values)

    def write(self) -> Path:
        lines = []
        for section, values in self.settings.items():
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
        path = self.folder / "idp.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o600)
        return path

    def load(self, *, production: bool = False) -> Loaded:
        """With `production` all the same: the built-in people could not be had there."""
        loaded = load(self.write(), {})
        if not production:
            return loaded
        server = loaded.config.server.model_copy(update={"production": True})
        return replace(loaded, config=loaded.config.model_copy(update={"server": server}))

    def parts(self, *, production: bool = False) -> Parts:
        return build_parts(self.load(production=production), self.store)

    def advice(self, *, production: bool = False, change: Callable[[Parts], Parts] = lambda parts: parts) -> list[Advice]:
        loaded = self.load(production=production)
        return examine(Patient(loaded, change(build_parts(loaded, self.store)), now=lambda: utc_now() + self.later))

    def said(self, *, production: bool = False, change: Callable[[Parts], Parts] = lambda parts: parts) -> set[str]:
        return {each.check for each in self.advice(production=production, change=change)}

    def told(self, check: str) -> str:
        """What is said of one thing; it has to be said, with its fix."""
        (found,) = [each for each in self.advice() if each.check == check]
        assert found.fix
        return found.detail


def furnished(folder: Path) -> House:
    (folder / "people.toml").write_text('[people.ada]\nid = "101"\npassword = "demo"\n')
    (folder / "secret").write_text("a vendor's secret")
    (folder / "secret").chmod(0o600)
    house = House(folder, SqliteStore(folder / "store.sqlite"))
    house.put("server", url='"https://login.example.org"', trusted_proxies='["127.0.0.1"]', workers="1")
    house.put("directory", kind='"people"', people='"people.toml"')
    house.put("clients.lms", secret='{ file = "secret" }', token='{ return_urls = ["https://lms.example.org/sso"] }')
    ring = KeyRing(folder / "keys")
    ring.create_if_empty()
    ring.publish(uses=USES)
    return house
