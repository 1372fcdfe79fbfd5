from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standin import Clock

from .association import Association, Browser


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def association(tmp_path: Path, clock: Clock) -> Iterator[Association]:
    association = Association(tmp_path, now=clock)
    yield association
    association.store.close()


@pytest.fixture
def ada(association: Association) -> Browser:
    """A browser in which Ada has signed in."""
    browser = Browser(association)
    browser.signs_in()
    return browser
