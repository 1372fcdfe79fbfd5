"""A machine with little room, few files, an old Python; a mail server that is not there."""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
from types import SimpleNamespace

import pytest

from idp.demo.mailbox import Mailbox, receiving
from tests.doctor.house import House
from tests.port import free_port


def test_U32_few_open_files_are_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert "machine.files" in house.said()


def test_U32_a_temporary_folder_that_cannot_be_written_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/proc")
    monkeypatch.setattr("os.access", lambda path, mode: path != "/proc")
    assert "machine.temporary" in house.said()


def test_F9_a_disk_that_is_nearly_full_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    assert "machine.disk" in house.said()


@pytest.mark.parametrize(("release", "said"), [((3, 11), True), ((3, 14), False), ((3, 99), False)])
def test_U32_a_python_without_fixes_is_named(house: House, release: tuple[int, int], said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", SimpleNamespace(major=release[0], minor=release[1]))
    house.later = 400 * 86400
    assert ("machine.python" in house.said()) is said


def mail_to(house: House, port: int) -> None:
    house.put("mail", host='"127.0.0.1"', port=str(port), starttls="false", sender='"login@example.org"', timeout="2")


def test_U32_a_mail_server_that_is_not_there_is_named(house: House) -> None:
    mail_to(house, free_port())
    assert "mail.unreachable" in house.said()


def test_a_mail_server_that_is_there_is_in_good_order(house: House) -> None:
    with receiving(Mailbox()) as port:
        mail_to(house, port)
        assert not {"mail.unreachable", "mail.in_clear"} & house.said()


def test_U32_mail_that_piles_up_is_named(house: House) -> None:
    for number in range(100):
        house.store.put("letter", str(number), {}, expires=None)
    assert "mail.waiting" in house.said()
