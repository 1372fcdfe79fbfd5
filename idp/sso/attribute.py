"""Attributes that are made for a client: by a handful of declarative rules, as texts of a known type. No rule runs anybody's code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from idp.directory import Attributes
from idp.sso.settings import TRUTHS, AttributeSettings, Kind, Rule

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,10})?")  # what every vendor's JSON parser reads back the same
_YES = frozenset({"true", "1", "yes", "y", "t"})
_NO = frozenset({"false", "0", "no", "n", "f"})
Values = tuple[str, ...]


def today_of(moment: int) -> date:
    """The UTC day of a moment in seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).date()


def read_date(text: str) -> date | None:
    """The day in a text such as 2026-12-31 or 2026-12-31T00:00:00; None when it is none, or the year 1, by which .NET means none."""
    try:
        day = date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None
    return day if day.year > 1 else None


def make_attribute(settings: AttributeSettings, name: str, attributes: Attributes, *, today: date) -> Values:
    """The values under the client's `name`; empty when there are none. Texts, in the one spelling of their type."""
    made = _RULES[settings.rule](settings, values_of(settings, name, attributes), today)
    kind = kind_of(settings)
    values = tuple(text for value in made if (text := _spelled(kind, value)))
    if not values and settings.default is not None:
        values = tuple(text for text in (_spelled(kind, _text_of(settings.default)),) if text)
    return values if kind in (None, "list") else values[:1]


def values_of(settings: AttributeSettings, name: str, attributes: Attributes) -> Values:
    """The values of all its sources, in their order."""
    return tuple(value for source in settings.sources or (name,) for value in attributes.get(source, ()) if value)


def kind_of(settings: AttributeSettings) -> Kind | None:
    """The type as given, or as the rule implies; None: as many texts as there are."""
    return settings.type or ("boolean" if settings.rule in TRUTHS else None)


def json_value(kind: Kind | None, values: Values) -> Any:
    """What JSON has for the values: a number, a truth, a text or a list."""
    if kind == "number":
        return float(values[0]) if "." in values[0] else int(values[0])
    if kind == "boolean":
        return values[0] == "true"
    if kind == "list" or (kind is None and len(values) > 1):
        return list(values)
    return values[0]


def _spelled(kind: Kind | None, value: str) -> str:
    """The value as its type spells it; empty when it is none of that type."""
    if kind == "number":
        return value.strip() if _NUMBER.fullmatch(value.strip()) else ""
    if kind == "boolean":
        word = value.strip().casefold()
        return "true" if word in _YES else "false" if word in _NO else ""
    if kind == "date":
        day = read_date(value)
        return day.isoformat() if day else ""
    return value


def _text_of(value: str | bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _truth(value: bool) -> Values:
    return ("true" if value else "false",)


def _each(change: Callable[[str], str]) -> Callable[[AttributeSettings, Values, date], Values]:
    return lambda _settings, values, _today: tuple(change(value) for value in values)


def _join(settings: AttributeSettings, values: Values, _: date) -> Values:
    return (settings.separator.join(values),) if values else ()


def _map(settings: AttributeSettings, values: Values, _: date) -> Values:
    found = (settings.values.get(value, settings.values.get("*", "")) for value in values)
    return tuple(dict.fromkeys(text for text in found if text))


def _after_today(settings: AttributeSettings, values: Values, today: date) -> Values:
    """A day is paid for until it is over."""
    days = [day for value in values if (day := read_date(value))]
    return _truth(any(day >= today - timedelta(days=settings.grace) for day in days)) if days or settings.default is None else ()


def _before_today(settings: AttributeSettings, values: Values, today: date) -> Values:
    days = [day for value in values if (day := read_date(value))]
    return _truth(any(day < today for day in days)) if days or settings.default is None else ()


def _has(settings: AttributeSettings, values: Values, _: date) -> Values:
    wanted = {text.casefold() for text in settings.any_of}
    return _truth(any(value.casefold() in wanted for value in values))


_RULES: Mapping[Rule, Callable[[AttributeSettings, Values, date], Values]] = {
    "copy": lambda _settings, values, _today: values,
    "join": _join,
    "map": _map,
    "upper": _each(str.upper),
    "lower": _each(str.lower),
    "title": _each(str.title),
    "after_today": _after_today,
    "before_today": _before_today,
    "has": _has,
    "present": lambda _settings, values, _today: _truth(bool(values)),
}
