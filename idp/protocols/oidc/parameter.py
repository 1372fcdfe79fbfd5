"""The parameters of a request, taken apart once and by one parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from idp.errors import BadRequest

_MOST_FIELDS = 100
_MOST_CHARACTERS = 65_536
_MAY_REPEAT = {"resource", "audience"}  # RFC 8707 §2, RFC 8693 §2.1


@dataclass(frozen=True)
class Parameters:
    """Each parameter's value; `repeated` names those that came more than once, which RFC 6749 §3.1 forbids (S15); `lists` has all
    values of those that may."""

    values: Mapping[str, str]
    repeated: frozenset[str]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """The value, empty when it is not there: a parameter without a value counts as omitted (RFC 6749 §3.1)."""
        return self.values.get(name, "")

    def every(self, name: str) -> tuple[str, ...]:
        """All values of one that may come several times."""
        return self.lists.get(name, ())

    def with_values(self, values: Mapping[str, str]) -> Parameters:
        return replace(self, values={**self.values, **values})

    def without(self, names: frozenset[str]) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if name not in names}


def read_parameters(text: str) -> Parameters:
    """From a query string or a form body. Raises BadRequest when there is too much of it."""
    if len(text) > _MOST_CHARACTERS:
        raise BadRequest("oidc.too_large", "This request is too large.", status=413)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadRequest("oidc.unreadable", "This request could not be read: it has too many parameters.") from None
    seen: set[str] = set()
    repeated = {name for name, _ in pairs if name in seen or seen.add(name)} - _MAY_REPEAT  # type: ignore[func-returns-value]
    lists = {name: tuple(value for each, value in pairs if each == name and value) for name in _MAY_REPEAT & seen}
    return Parameters(dict(pairs), frozenset(repeated), lists)
