"""How a record becomes a type again, while two versions of this program run on one store (F5)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def read_as(kind: type[T], record: Mapping[str, Any], **given: Any) -> T:
    """A dataclass from a record that an older or a newer version may have written: what we do not know is passed over, and what is not
    there has its default. So a field that is added to a stored type needs one. `given` goes over the record. TypeError: a field without
    a default is missing."""
    known = _names(kind)  # type: ignore[arg-type]  # typeshed: a type[T] is not Hashable
    return kind(**{name: value for name, value in {**record, **given}.items() if name in known})


@cache
def _names(kind: Hashable) -> frozenset[str]:
    return frozenset(each.name for each in fields(kind))  # type: ignore[arg-type]  # a dataclass; fields() says so if it is none
