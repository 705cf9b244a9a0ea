"""What runs, how far it is, how it ended."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import verbs
from app.latest import latest
from app.link import News
from app.paint import Line, clean, fit, meter, right, span, wrap
from app.screens.base import Place, bindings
from app.widgets.panel import Panel
from app.widgets.rows import Rows

INKS = {"running": "accent", "queued": "dim", "done": "good", "failed": "bad", "cancelled": "dim"}
ENDED = ("done", "failed", "cancelled")


class Jobs(Place):
    """Jobs, newest first; the log of the one under the cursor below."""

    places = ("jobs", "list")
    BINDINGS: ClassVar = bindings("jobs")
    DEFAULT_CSS = """
    Jobs #log { height: 45%; border-top: solid $surface; padding: 0 1; }
    Jobs .body { layout: vertical; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._log: dict[int, dict[str, Any]] = {}

    def crumbs(self) -> list[str]:
        return ["Jobs"]

    def place(self) -> dict[str, Any]:
        return {"name": "jobs"}

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        return {"job_id": row["job_id"]} if row else {}

    def body(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda row: row["job_id"], words=lambda row: f"{row['kind']} {row['state']} {row['title']}", head=self._head)
        self.rows.empty = [("no job was ever started: L goes to the library, s analyses an episode there", "dim")]
        self.log_panel = Panel(self._draw_log, id="log")
        yield Horizontal(self.rows, self.log_panel, classes="body")

    def on_mount(self) -> None:
        self.rows.focus()

    async def fetch(self) -> None:
        link = self.rollcall.link
        rows = (await link.ask("job_list", limit=500))["rows"]
        titles = {row["episode_id"]: row["title"] for row in await verbs.every(self.rollcall, "episode_list")}
        for row in rows:
            row["title"] = titles.get(row["episode_id"], "") or ("models" if row["kind"] == "pull" else "")
        self.rows.set_rows(rows)
        if self.rows.current:
            job_id = self.rows.current["job_id"]
            self._log[job_id] = await link.ask("job_show", job_id=job_id)
        self.log_panel.redraw()

    def concerned(self, news: News) -> bool:
        for row in self.rows.rows:
            job = news.jobs.get(row["job_id"])
            if job:
                row.update({name: job[name] for name in ("state", "progress") if name in job})
        self.rows.redraw(set(news.jobs))
        current = self.rows.current
        return super().concerned(news) or bool(news.jobs and current and current["job_id"] in news.jobs)

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        if event.row and event.row["job_id"] not in self._log:
            latest(self, "log", self._read_log, event.row["job_id"])
        self.log_panel.redraw()
        self.chrome()

    async def _read_log(self, job_id: int) -> None:
        found = await verbs.asked(self.rollcall, "job_show", job_id=job_id)
        if found:
            self._log[job_id] = found
            self.log_panel.redraw()

    def _head(self, width: int) -> Line:
        return [(right("job", 5) + "  " + fit("what", 9) + fit("of", max(8, width - 52)) + fit("state", 30), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        title = fit(clean(row["title"]), max(8, width - 52))
        return [(right(str(row["job_id"]), 5), "dim"), ("  ", "text"), (fit(row["kind"], 9), "text"), (title, "text"), *_state(row)]

    def _draw_log(self, width: int, height: int) -> list[Line]:
        row = self.rows.current
        found = self._log.get(row["job_id"]) if row else None
        if not found or not row:
            return []
        lines: list[Line] = []
        if found["error"]:
            lines += [[(line, "bad")] for line in wrap(clean(f"{found['error']['message']} {found['error']['hint']}"), width - 2)]
        actor = found["actor"].partition(":")[2]
        lines.append([(f"asked for by {clean(actor)}, {found['created_at'][:19].replace('T', ' ')} UTC, attempt {max(1, found['attempts'])}", "dim")])
        room = max(1, height - len(lines))
        for stage in found["stages"][-room:]:
            seconds = "" if stage["seconds"] is None else span(stage["seconds"])
            segment = "" if stage["segment"] is None else f"segment {stage['segment'] + 1}"
            pieces = [fit(stage["stage"], 10), fit(segment, 12), fit(stage["status"], 10), right(seconds, 9), "  ", clean(stage["detail"])]
            lines.append([("".join(pieces), "text")])
        return lines

    def why_not(self, action: str) -> str | None:
        row = self.rows.current
        if action.startswith("jobs.") and row is None:
            return "There is no job yet."
        if action == "jobs.cancel" and row and row["state"] in ENDED:
            return f"Job {row['job_id']} has ended ({row['state']})."
        if action == "jobs.retry" and row and row["state"] not in ("failed", "cancelled"):
            return f"Job {row['job_id']} is {row['state']}; only a failed or stopped one can be tried again."
        return None

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        if event.row["episode_id"] is None or event.row["state"] != "done":
            self.rollcall.say("Only the episode of a finished analysis can be opened.", severity="warning")
        else:
            self.rollcall.go("episode", episode=event.row["episode_id"])

    def do_cancel(self) -> None:
        self._run("job_cancel", "The job was stopped; r goes on from where it was.")

    def do_retry(self) -> None:
        self._run("job_retry", "The job runs again.")

    def _run(self, operation: str, said: str) -> None:
        row = self.rows.current
        if row:
            self.run_worker(verbs.run(self.rollcall, operation, said=said, job_id=row["job_id"]), exit_on_error=False)


def _state(row: dict[str, Any]) -> Line:
    if row["state"] == "running":
        progress = row.get("progress") or {}
        share = progress.get("share", 0.0)
        left = f"  {span(progress['left_s'])} left" if progress.get("left_s") is not None else ""
        return [(meter(share, 12), "accent"), (f" {share:4.0%}", "accent"), (left, "dim")]
    took = ""
    if row["started_at"] and row["ended_at"]:
        from datetime import datetime

        ends = [datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at")]
        took = f"  took {span((ends[1] - ends[0]).total_seconds())}"
    return [("● ", INKS[row["state"]]), (row["state"], "text"), (took, "dim")]
