"""The report of a real clip, with real weights: five people, their seconds, their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import html5lib
import pytest

from engine.wire import Client

HTML = "{http://www.w3.org/1999/xhtml}"


@pytest.mark.slow
def test_report_of_the_panel_shows_five_people_with_pictures_and_right_seconds(client: Client, media: Path, weights: Path) -> None:
    episode = client.call("episode_add", {"path": str(media / "composed" / "grid_panel.mp4")})["episode_id"]
    job = client.call("episode_analyse", {"episode": str(episode), "settings": {"models.profile": "insightface"}})["job_id"]
    done = client.call("job_wait", {"job_id": job, "timeout_s": 250})
    assert done["state"] == "done"
    path = Path(client.call("export_create", {"episode": str(episode), "format": "html"})["path"])
    page = html5lib.HTMLParser(strict=True).parse(path.read_text())
    rows: list[Any] = page.findall(f".//{HTML}li[@data-person]")
    seconds = [float(row.find(f".//{HTML}data").get("value")) for row in rows]
    assert seconds == pytest.approx([18, 12, 12, 9, 6], abs=0.1)
    assert all(row.find(f"{HTML}img").get("src").startswith("data:image/jpeg") for row in rows)
