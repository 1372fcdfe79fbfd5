"""Who may ask: clients of the file, and clients of the store that come and go while the server runs."""

from __future__ import annotations

import threading

import pytest

from idp.errors import IdpError
from idp.secret import Secret, digest
from idp.sso import client as module
from idp.sso.client import Client, Clients
from idp.store import Record, Store

from .echo import make_client
from .house import Events


def read(client_id: str, table: Record) -> Client:
    if "tell" not in table:
        raise IdpError("config.invalid", "tell is missing")
    return make_client(client_id, **table)


@pytest.fixture
def audit() -> Events:
    return Events()


@pytest.fixture
def clients(store: Store, audit: Events) -> Clients:
    return Clients([make_client("lms", name="The file's")], store=store, read=read, audit=audit)


def refusal(act: object, *arguments: object) -> str:
    with pytest.raises(IdpError) as caught:
        act(*arguments)  # type: ignore[operator]
    return caught.value.cause


def test_clients_of_file_and_store_stand_side_by_side(clients: Clients) -> None:
    clients.add("shop", {"tell": "front"})
    assert set(clients.snapshot().clients) == {"lms", "shop"}
    assert {client.id for client in clients.snapshot().of("echo")} == {"lms", "shop"}
    assert clients.snapshot().of("saml") == []
    assert clients.get("nobody") is None


def test_another_process_sees_a_client_come_and_go(clients: Clients, store: Store, audit: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Clients([], store=store, read=read, audit=audit)
    assert other.get("shop") is None
    clients.add("shop", {"tell": "front"})
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)  # in place of waiting for a second
    assert other.get("shop")
    clients.remove("shop")
    assert other.get("shop") is None


def test_a_client_that_registered_itself_at_another_process_is_known_at_once_when_it_asks(clients: Clients, store: Store) -> None:
    other = Clients([], store=store, read=read, audit=Events())
    other.snapshot()
    clients.add("shop", {"tell": "front"})
    assert other.get("shop")


def test_a_snapshot_is_kept_while_nothing_changes(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocols hang on its identity what they derive from it."""
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)
    first = clients.snapshot()
    assert clients.snapshot() is first
    clients.add("shop", {"tell": "front"})
    assert clients.snapshot() is not first


def test_F30_what_cannot_be_read_is_not_stored(clients: Clients, store: Store) -> None:
    assert refusal(clients.add, "shop", {"nonsense": 1}) == "config.invalid"
    assert store.list("client") == []


def test_a_client_of_the_file_can_be_neither_replaced_nor_removed(clients: Clients, store: Store) -> None:
    assert refusal(clients.add, "lms", {"tell": "front"}) == "clients.exists"
    assert refusal(clients.remove, "lms") == "clients.in_file"
    store.put("client", "lms", {"tell": "front", "name": "A stranger's"}, expires=None)
    fresh = Clients([make_client("lms", name="The file's")], store=store, read=read, audit=Events())
    found = fresh.get("lms")
    assert found is not None
    assert found.name == "The file's"


def test_a_client_is_added_once_and_removed_once(clients: Clients) -> None:
    clients.add("shop", {"tell": "front"})
    assert refusal(clients.add, "shop", {"tell": "back"}) == "clients.exists"
    clients.remove("shop")
    assert refusal(clients.remove, "shop") == "clients.unknown"


def test_who_gets_a_removed_ones_id_is_another_also_in_the_file_and_after_a_change(clients: Clients, store: Store) -> None:
    first = clients.get(clients.add("shop", {"tell": "front"}).id)
    clients.remove("shop")
    clients.add("shop", {"tell": "front"})
    second = clients.get("shop")
    clients.change("shop", {"tell": "back"})
    third = clients.get("shop")
    of_file = Clients([make_client("shop")], store=store, read=read, audit=Events()).get("shop")
    assert first and second and third and of_file  # noqa: PT018
    assert first.incarnation != second.incarnation
    assert second.incarnation == third.incarnation == of_file.incarnation


def test_F5_one_that_a_newer_version_wrote_does_not_stop_the_others(store: Store, audit: Events) -> None:
    store.put("client", "odd", {"from the future": True}, expires=None)
    store.put("client", "shop", {"tell": "front"}, expires=None)
    clients = Clients([], store=store, read=read, audit=audit)
    assert set(clients.snapshot().clients) == {"shop"}
    assert audit.of("clients.unreadable")[0]["client"] == "odd"


def test_S27_each_of_the_live_secrets_is_accepted_and_nothing_else() -> None:
    client = make_client("lms", secrets=(digest("old"), digest("new")))
    assert [client.accepts(Secret(text)) for text in ("old", "new", "other", "", digest("old"), "\ud800")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert not make_client("lms").accepts(Secret(""))
    assert not make_client("lms", secrets=(digest(""),)).accepts(Secret("")), "no secret is no proof"


def test_S27_a_stored_digest_that_is_none_accepts_nothing() -> None:
    assert not make_client("lms", secrets=("not a digest: é",)).accepts(Secret("not a digest: é"))


def test_G_S10_a_clients_repr_shows_no_secret_not_even_its_digest() -> None:
    client = make_client("lms", secrets=(digest("weak"),), table={"secret_sha256": [digest("weak")]})
    assert digest("weak") not in repr(client)


def test_F8_while_one_thread_waits_for_a_slow_store_the_others_go_on_with_what_they_know(
    clients: Clients, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clients.snapshot()
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)
    asked, answer = threading.Event(), threading.Event()
    quick = store.get

    def slow(kind: str, key: str) -> object:
        asked.set()
        assert answer.wait(10)
        return quick(kind, key)

    monkeypatch.setattr(store, "get", slow)
    waiting = threading.Thread(target=clients.snapshot)
    waiting.start()
    assert asked.wait(10)
    assert clients.snapshot() is before
    answer.set()
    waiting.join()


def test_after_an_idle_time_nobody_is_answered_by_what_was_known_before_it(
    clients: Clients, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else of many who come at once for a new client, all but the first would hear that there is none."""
    before = clients.snapshot()
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)
    monkeypatch.setattr(module, "_OLDEST", 0.0)
    asked, answer = threading.Event(), threading.Event()
    quick = store.get
    seen: list[object] = []

    def slow(kind: str, key: str) -> object:
        asked.set()
        assert answer.wait(10)
        return quick(kind, key)

    store.bump("setting", "clients.version", 1, expires=2**40)  # as another process does that adds a client
    monkeypatch.setattr(store, "get", slow)
    threads = [threading.Thread(target=lambda: seen.append(clients.snapshot())) for _ in range(2)]
    threads[0].start()
    assert asked.wait(10)
    threads[1].start()
    answer.set()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert before not in seen
