"""Attributes from IQAs, iMIS's stored queries (facts on iMIS, 5.5): by /api/Query, or by /api/IQA where that is not there yet.

The only parameters that change are the member's own id and user name, so that nobody can ask for another's rows (S98).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from idp.clock import Now
from idp.directory import Attributes, DirectoryUnavailable, Drift
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_fields import definition_columns, parameter_count, properties, text, text_or_date
from idp.directory.settings import ImisRestSettings, IqaSettings
from idp.secret import digest
from idp.store import Store, StoreUnavailable

_log = logging.getLogger("idp")
_PAGE = "100"  # rows a page (5.5)
_LEFT_OUT = 900  # seconds for which an IQA that was left out is said to be so
_MONTH = 30 * 86400
_NOT_A_VALUE = "ResultRow"  # the running number that /api/IQA puts before the columns


class QueryReader:
    """The IQAs of [directory]."""

    def __init__(self, settings: ImisRestSettings, api: ImisApi, *, store: Store, now: Now) -> None:
        self._iqas = sorted(settings.iqa, key=lambda iqa: not iqa.required)  # what may be left out comes last
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
                try:
                    rows = self._rows(iqa, subject_id, username, deadline)
                    found |= _columns(_own(rows, iqa, subject_id, uniform_id), iqa)
                except DirectoryUnavailable as error:
                    if iqa.required:
                        raise
                    self._leave_out(iqa, error)
        return found

    def drift(self, deadline: Deadline) -> list[Drift]:
        """Each IQA, column or prompt that is not as it was, or not as the settings say; and each IQA that had to be left out of late."""
        return [problem for iqa in self._iqas for problem in (*self._left_out(iqa), *self._drift_of(iqa, deadline))]

    def _leave_out(self, iqa: IqaSettings, error: DirectoryUnavailable) -> None:
        """Says so: in the log, and to whoever looks for drift; but not at every sign-in."""
        record = {"detail": error.received}
        try:
            news = self._store.put_new("setting", self._left_out_key(iqa), record, expires=self._now() + _LEFT_OUT)
        except StoreUnavailable:
            return
        if news:
            _log.warning("the attributes of the IQA %s are left out: %s", iqa.path, error.received)

    def _left_out(self, iqa: IqaSettings) -> Iterator[Drift]:
        stored = self._store.get("setting", self._left_out_key(iqa)) if not iqa.required else None
        if stored:
            yield Drift("directory.iqa_left_out", f"the attributes of the IQA {iqa.path} are left out: {stored.record['detail']}")

    def _left_out_key(self, iqa: IqaSettings) -> str:
        return f"imis_left_out:{digest(f'{self._key} {iqa.path}')[:32]}"

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

    def _drift_of(self, iqa: IqaSettings, deadline: Deadline) -> Iterator[Drift]:
        result, message = self._api.execute("QueryDefinition", "FindByPath", [iqa.path], deadline, harmless=True)
        if result is None and message == "NotFound":
            yield Drift("directory.iqa_gone", f"the IQA {iqa.path} is not there any more")
            return
        columns, prompts = definition_columns(result), parameter_count(result)
        if prompts != len(iqa.parameters):
            yield Drift("directory.iqa_prompts", f"the IQA {iqa.path} has {prompts} prompts, and parameters has {len(iqa.parameters)}")
        yield from self._changed(iqa, columns)

    def _changed(self, iqa: IqaSettings, columns: Mapping[str, str]) -> Iterator[Drift]:
        """Against what was there at the last good check; forgotten after a month, when the change has become the rule."""
        key = f"imis_iqa:{digest(f'{self._key} {iqa.path}')[:32]}"
        stored = self._store.get("setting", key)
        before = {str(name): str(kind) for name, kind in stored.record["columns"].items()} if stored else dict(columns)
        wanted = {alias for alias in (*iqa.columns.values(), iqa.id_column) if alias}
        gone = sorted((wanted | before.keys()) - columns.keys())
        retyped = sorted(name for name in before.keys() & columns.keys() if before[name] != columns[name])
        for name in gone:
            yield Drift("directory.iqa_column_gone", f"the IQA {iqa.path} has no column {name}")
        for name in retyped:
            sentence = f"the column {name} of the IQA {iqa.path} was {before[name]} and is {columns[name]}"
            yield Drift("directory.iqa_column_type", sentence)
        if not gone and not retyped:
            _keep(self._store, key, {"columns": dict(columns)}, expires=self._now() + _MONTH)


def _keep(store: Store, key: str, record: dict[str, Any], *, expires: int) -> None:
    """What is only remembered may be lost: a full disk must not keep anybody out."""
    try:
        store.put("setting", key, record, expires=expires)
    except StoreUnavailable:
        return


def _own(rows: list[dict[str, Any]], iqa: IqaSettings, subject_id: str, uniform_id: str) -> list[dict[str, Any]]:
    """The member's rows among these. Raises DirectoryUnavailable for several where one is meant."""
    own = [row for row in rows if _is_own(row, iqa, subject_id, uniform_id)]
    if len(own) > 1 and not iqa.collect:
        raise DirectoryUnavailable(f"the IQA {iqa.path}: {len(own)} rows for one member, and collect is false")
    return own


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
