"""The whole way in a real terminal multiplexer, with the keys an operator presses: from an empty library to reviewed, merged and exported."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.wire import Client
from tests.clips import FACES, framing, write

TMUX = shutil.which("tmux")
WAIT_S = 120.0
NOTHING_LEFT = "worth asking about now"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.skipif(TMUX is None, reason="tmux is not installed here")]


class Session:
    """The screens in a tmux of their own."""

    def __init__(self, folder: Path, home: Path, columns: int, lines: int) -> None:
        self.socket = str(folder / "tmux")
        # Sizes that are exported are not the terminal's: the screens follow the terminal.
        own = ["COLUMNS=80", "LINES=24", "ROLLCALL_ACTOR=person:ana", "COLORTERM=truecolor", f"PYTHONPYCACHEPREFIX={folder / 'compiled'}"]
        command = ["env", *own, sys.executable, "-m", "tools.cli", "--home", str(home)]
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(columns), "-y", str(lines), *command)

    def _tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        return subprocess.run([TMUX, "-S", self.socket, *arguments], check=True, capture_output=True, text=True, timeout=30).stdout

    def keys(self, *keys: str) -> None:
        """Press keys, by their tmux names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What is shown."""
        return self._tmux("capture-pane", "-p")

    def until(self, words: str | Callable[[], bool]) -> str:
        """Wait until words are shown, or something holds."""
        end = time.monotonic() + WAIT_S
        while True:
            shown = self.screen()
            if words in shown if isinstance(words, str) else words():
                return shown
            assert time.monotonic() < end, f"{words!r} did not come:\n{shown}"
            time.sleep(0.1)

    def alive(self) -> bool:
        """Whether the screens still run: tmux ends with its only window."""
        assert TMUX is not None
        return subprocess.run([TMUX, "-S", self.socket, "has-session"], check=False, capture_output=True, timeout=30).returncode == 0

    def size(self, columns: int, lines: int) -> None:
        """Make the terminal another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def close(self) -> None:
        """End it."""
        assert TMUX is not None
        subprocess.run([TMUX, "-S", self.socket, "kill-server"], check=False, capture_output=True, timeout=30)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('[models]\nprofile = "embedded"\n')
    made = Session(tmp_path, home, 80, 24)
    yield made
    made.close()
    Client(home).stop()


def answered(session: Session, client: Client, number: int, left: list[str]) -> bool:
    """Answer what the screen asks; False when it did not take, as it asked something else by the time the key came."""
    if "Who is this?" in session.screen():
        session.keys("a")
        session.until("Who is it?")
        session.type(f"Person {number}")
        session.keys("Enter")
    else:
        session.keys("y")
    end = time.monotonic() + 5
    while asked(client) == left and time.monotonic() < end:
        time.sleep(0.2)
    return asked(client) != left


def test_from_an_empty_library_to_an_export(session: Session, tmp_path: Path) -> None:
    client = Client(tmp_path / "home", "person:looker")
    parts = ["left", "middle", "left", "right"]
    clip = write(tmp_path / "party.mp4", [framing(*FACES[name]) for name in parts for _ in range(50)])
    clip.with_suffix(".json").write_text("{}")

    # an empty library: add the clip (its path completed past the file beside it) and analyse it
    session.until("the library is empty: press a to add a video file")
    session.keys("a")
    session.until("episode add")
    session.type(str(clip)[:-5])
    session.keys("Tab")
    session.until("party.mp4")
    session.keys("Enter")
    session.until("not analysed: s starts it")
    session.keys("s")
    session.until("● analysed")

    # results: name whoever has most seconds
    session.keys("Enter")
    session.until("Unknown 1")
    session.keys("n")
    session.until("Who is")
    session.type("Ana Lee")
    session.keys("Enter")
    session.until(lambda: "Ana Lee" in people(client))
    session.until("Ana Lee")

    # identities: two clusters become one, and the undo takes it back before it is done again
    session.keys("Tab", "Tab")
    session.until("taken for")
    before = clusters(client)
    assert len(before) >= 3
    session.until(lambda: "reading the clusters" not in session.screen() and "▀▀▀▀" in session.screen())
    session.keys("Down")
    session.keys("m")
    session.until("The same person as which cluster?")
    session.type("Ana")
    session.until("▌Ana Lee")
    session.keys("Enter")
    session.until(lambda: len(clusters(client)) < len(before) or "Merge them all the same?" in session.screen())
    if "Merge them all the same?" in session.screen():
        session.keys("y")
    session.until(lambda: len(clusters(client)) == len(before) - 1)
    session.keys("u")
    session.until("Undone")
    session.until(lambda: clusters(client) == before)
    session.keys("U")
    session.until(lambda: len(clusters(client)) == len(before) - 1)

    # review: answer until nothing is left, whatever is asked
    session.keys("r")
    session.until(lambda: bool(asked(client)))
    for number in range(20):
        session.until(lambda: " left" in session.screen() if asked(client) else NOTHING_LEFT in session.screen())
        left = asked(client)
        if not left:
            break
        session.until(lambda number=number, left=left: answered(session, client, number, left))
    assert asked(client) == []

    # a smaller terminal and back, then export
    session.size(40, 10)
    # the last words of the lowest line are seen here only once it is laid out anew, the first line once the toasts over it are gone
    session.until(lambda: session.screen().lstrip("\n").startswith(" rollcall") and "? keys" in session.screen())
    session.size(160, 50)
    session.keys("L")
    session.until("● analysed")
    session.keys("Enter")
    session.until("Results")
    session.keys("e")
    session.until("export create")
    session.keys("Enter")
    session.until("exported")
    exported = client.call("export_list")["rows"]
    assert len(exported) == 1
    with Path(exported[0]["path"]).open(encoding="utf-8-sig", newline="") as file:
        written = {row["name"] for row in csv.DictReader(file)}
    assert written == set(people(client)) and "Ana Lee" in written and any(name.startswith("Person ") for name in written)
    session.keys("q")
    end = time.monotonic() + WAIT_S
    while session.alive():
        assert time.monotonic() < end
        time.sleep(0.1)


def people(client: Client) -> list[str]:
    return [row["name"] for row in client.call("totals_show", {"episode": "1"})["people"]]


def clusters(client: Client) -> list[str | None]:
    return [row["person"] for row in client.call("cluster_list", {"episode": "1"})["rows"]]


def asked(client: Client) -> list[str]:
    return [ref for item in client.call("queue_list", {"episode": "1"})["rows"] for unit in item["asked"] for ref in unit["shown"]]
