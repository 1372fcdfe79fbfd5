"""Attributes from IQAs, iMIS's stored queries (facts on iMIS, 5.5): by /api/Query, or by /api/IQA where that is not there yet.

The only parameters that change are the member's own id and user name, so that nobody can ask for another's rows (S98).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from idp.clock import Now
from idp.directory import Attributes, DirectoryUnavailable
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_fields import definition_columns, parameter_count, properties, text, text_or_date
from idp.directory.settings import ImisRestSettings, IqaSettings
from idp.secret import digest
from idp.store import Store, StoreUnavailable

_PAGE = "100"  # rows a page (5.5)
_MONTH = 30 * 86400
_NOT_A_VALUE = "ResultRow"  # the running number that /api/IQA puts before the columns


class QueryReader:
    """The IQAs of [directory]."""

    def __init__(self, settings: ImisRestSettings, api: ImisApi, *, store: Store, now: Now) -> None:
        self._iqas = settings.iqa
        self._api = api
        self._store = store
        self._now = now
        self._known = "" if settings.iqa_endpoint == "auto" else {"query": "Query", "iqa": "IQA"}[settings.iqa_endpoint]
        self._key = f"imis_query:{digest(settings.base)[:32]}"

    def attributes(self, subject_id: str, username: str, uniform_id: str, deadline: Deadline) -> Attributes:
        """What all the IQAs tell of this member. One that wants a user name is not asked for a contact without a login."""
        found: dict[str, tuple[str, ...]] = {}
        for iqa in self._iqas:
            if username or "{username}" not in iqa.parameters:
                own = [row for row in self._rows(iqa, subject_id, username, deadline) if _is_own(row, iqa, subject_id, uniform_id)]
                if len(own) > 1 and not iqa.collect:
                    raise DirectoryUnavailable(f"the IQA {iqa.path}: {len(own)} rows for one member, and collect is false")
                found |= _columns(own, iqa)
        return found

    def drift(self, deadline: Deadline) -> list[str]:
        """A sentence for each column or prompt of an IQA that is not as it was, or not as the settings say."""
        return [problem for iqa in self._iqas for problem in self._drift_of(iqa, deadline)]

    def _rows(self, iqa: IqaSettings, subject_id: str, username: str, deadline: Deadline) -> list[dict[str, Any]]:
        given = {"{id}": subject_id, "{username}": username}
        query = [("QueryName", iqa.path), *(("parameter", given.get(each, each)) for each in iqa.parameters), ("limit", _PAGE)]
        known = self._endpoint()
        candidates = [known] if known else ["Query", "IQA"]
        for entity in candidates:
            rows = self._api.query(entity, query, deadline)
            if rows is not None:
                self._remember(entity, known)
                return [properties(row) for row in rows]
        raise DirectoryUnavailable(f"the IQA {iqa.path}: iMIS does not give it: is it there, and available via the REST API?")

    def _endpoint(self) -> str:
        """Query or IQA; empty as long as nobody has found out."""
        if not self._known:
            try:
                stored = self._store.get("setting", self._key)
            except StoreUnavailable:
                return ""
            self._known = str(stored.record["endpoint"]) if stored else ""
        return self._known

    def _remember(self, entity: str, known: str) -> None:
        if not known:
            self._known = entity
            _keep(self._store, self._key, {"endpoint": entity}, expires=self._now() + _MONTH)

    def _drift_of(self, iqa: IqaSettings, deadline: Deadline) -> Iterator[str]:
        result, message = self._api.execute("QueryDefinition", "FindByPath", [iqa.path], deadline, harmless=True)
        if result is None and message == "NotFound":
            yield f"the IQA {iqa.path} is not there any more"
            return
        columns, prompts = definition_columns(result), parameter_count(result)
        if prompts != len(iqa.parameters):
            yield f"the IQA {iqa.path} has {prompts} prompts, and parameters has {len(iqa.parameters)}"
        problems = list(self._changed(iqa, columns))
        yield from problems

    def _changed(self, iqa: IqaSettings, columns: Mapping[str, str]) -> Iterator[str]:
        """Against what was there at the last good check; forgotten after a month, when the change has become the rule."""
        key = f"imis_iqa:{digest(f'{self._key} {iqa.path}')[:32]}"
        stored = self._store.get("setting", key)
        before = {str(name): str(kind) for name, kind in stored.record["columns"].items()} if stored else dict(columns)
        wanted = {alias for alias in (*iqa.columns.values(), iqa.id_column) if alias}
        gone = sorted((wanted | before.keys()) - columns.keys())
        retyped = sorted(name for name in before.keys() & columns.keys() if before[name] != columns[name])
        yield from (f"the IQA {iqa.path} has no column {name}" for name in gone)
        yield from (f"the column {name} of the IQA {iqa.path} was {before[name]} and is {columns[name]}" for name in retyped)
        if not gone and not retyped:
            _keep(self._store, key, {"columns": dict(columns)}, expires=self._now() + _MONTH)


def _keep(store: Store, key: str, record: dict[str, Any], *, expires: int) -> None:
    """What is only remembered may be lost: a full disk must not keep anybody out."""
    try:
        store.put("setting", key, record, expires=expires)
    except StoreUnavailable:
        return


def _is_own(row: Mapping[str, Any], iqa: IqaSettings, subject_id: str, uniform_id: str) -> bool:
    """With id_column: whether the row is this member's, by iMIS ID or by GUID (12 row 15)."""
    if not iqa.id_column:
        return True
    holder = text(row.get(iqa.id_column))
    return holder == subject_id or (bool(uniform_id) and holder.casefold() == uniform_id.casefold())


def _columns(rows: list[dict[str, Any]], iqa: IqaSettings) -> Attributes:
    """Each column's values over all rows, each once, in the order of the rows."""
    aliases = dict.fromkeys(alias for row in rows for alias in row if alias != _NOT_A_VALUE)
    names = iqa.columns or {attribute_name(alias): alias for alias in aliases if alias != iqa.id_column}
    found = {f"{iqa.prefix}{ours}": _texts(row.get(alias) for row in rows) for ours, alias in names.items()}
    return {name: values for name, values in found.items() if values and name not in ("imis_id", "username")}


def _texts(cells: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for cell in cells if (value := text_or_date(cell))))


def attribute_name(alias: str) -> str:
    """`CE Credits` as `ce_credits`: small letters, and _ for what is neither letter nor digit."""
    return re.sub(r"\W+", "_", alias.lower()).strip("_")
