"""What tests share: folders of real weights and clips when they are there, and a workspace with its own engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.wire import Client
from tests.agents import Analysed, analyse
from tests.desk import Bench
from tests.screens import copied, make_library


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} does not name a folder")
    return Path(value)


@pytest.fixture
def media() -> Path:
    """Folder of real clips with ground truth."""
    return _folder("ROLLCALL_TEST_MEDIA")


@pytest.fixture
def weights() -> Path:
    """Folder of real model weights."""
    return _folder("ROLLCALL_MODELS")


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the screens do."""
    return "asyncio"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an analysed episode, made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "clips").mkdir()
    make_library(folder / "home", folder / "clips")
    return folder / "home"


@pytest.fixture
def home(library: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of that workspace; its engine is ended afterwards."""
    made = copied(library, tmp_path)
    yield made
    Client(made).stop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine in this process with an empty library."""
    made = Bench(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of an empty workspace; its engine is started on first use and ended afterwards."""
    made = Client(tmp_path / "home", "person:tester")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """A made episode of thirteen seconds, analysed so that everybody in it is taken for one person; its workspace is copied, never used."""
    return analyse(tmp_path_factory.mktemp("analysed"))
