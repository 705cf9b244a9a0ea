"""Whether engine, store, disk and models are well, and what to do about what is not."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import verbs
from app.paint import Line, clean, fit, right, size, wrap
from app.screens.base import Place, bindings
from app.screens.library import fit_path
from app.widgets.panel import Panel
from app.widgets.rows import Rows


class Health(Place):
    """Facts and problems above, models below."""

    places = ("health", "list")
    BINDINGS: ClassVar = bindings("health")
    DEFAULT_CSS = """
    Health .body { layout: vertical; }
    Health #facts { height: 11; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._health: dict[str, Any] | None = None

    def crumbs(self) -> list[str]:
        return ["Health"]

    def place(self) -> dict[str, Any]:
        return {"name": "health"}

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        return {"name": row["how"].strip("`").rpartition(" ")[2] if "model pull" in row["how"] else row["name"]} if row else {}

    def body(self) -> ComposeResult:
        self.facts = Panel(self._draw, id="facts")
        self.rows = Rows(self._line, key=lambda row: row["name"], words=lambda row: " ".join(map(str, row.values())), head=self._head)
        yield Horizontal(self.facts, self.rows, classes="body")

    def on_mount(self) -> None:
        self.rows.focus()

    async def fetch(self) -> None:
        link = self.rollcall.link
        self._health = await link.ask("health_show")
        self.facts.styles.height = max(9, min(16, len(self._words(self.size.width - 4))))
        self.facts.redraw()
        found = await link.ask("model_list")
        self.rows.set_rows(found["rows"])

    def _alerts(self, width: int) -> list[Line]:
        assert self._health is not None
        problems = self._health["problems"]
        if not problems:
            return [[("● ", "good"), ("All is well.", "text")]]
        lines: list[Line] = []
        for problem in problems:
            text = wrap(clean(problem), width - 2)
            lines += [[("● ", "bad"), (text[0], "text")], *([("  ", "text"), (line, "text")] for line in text[1:])]
        return lines

    def _draw(self, width: int, height: int) -> list[Line]:
        return self._words(width) if self._health else [[], [("asking the engine", "dim")]]

    def _words(self, width: int) -> list[Line]:
        assert self._health is not None
        found = self._health
        chosen = found["models"]
        held = [_counted(found[name], name) for name in ("shows", "episodes", "people")]
        facts = [
            ("engine", f"{found['version']}, process {found['pid']}, offers {', '.join(found['providers'])}; a job's log tells where models ran"),
            ("workspace", fit_path(found["home"], width - 14)),
            ("store", f"{size(found['database_bytes'])} library, {size(found['artefact_bytes'])} stage results, {size(found['free_bytes'])} free"),
            ("holds", f"{', '.join(held)}, {_counted(found['jobs_unfinished'], 'jobs')} unfinished"),
            ("models", ", ".join(f"{name} {_short(given)}" for name, given in chosen.items() if name not in ("why", "better"))),
            *(("", str(chosen[name])) for name in ("why", "better") if chosen.get(name)),
        ]
        lines: list[Line] = [[], *self._alerts(width), []]
        for name, text in facts:
            for n, part in enumerate(wrap(clean(text), width - 12)):
                lines.append([(fit("" if n else name, 12), "dim"), (part, "text")])
        return lines

    def _head(self, width: int) -> Line:
        return [(fit("  model", 34) + fit("task", 12) + right("size", 9) + "   " + fit("licence", max(10, width - 58)), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        there = row["installed"]
        return [
            ("● " if there else "○ ", "good" if there else "faint"),
            (fit(clean(row["name"]), 32), "text" if there else "dim"),
            (fit(clean(row["task"]), 12), "dim"),
            (right(f"{row['megabytes']:.0f} MB" if row["megabytes"] else "-", 9), "dim"),
            ("   ", "text"),
            (clean(row["licence"]), "dim"),
        ]

    def why_not(self, action: str) -> str | None:
        row = self.rows.current
        if action == "health.pull" and row is not None and row["installed"]:
            return f"{row['name']} is installed."
        return None

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.chrome()

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        from app.screens.result import Result

        self.rollcall.push_screen(Result("model_list", event.row))

    def do_pull(self) -> None:
        verbs.form(self.rollcall, "model_pull", self.context())

    def do_imported(self) -> None:
        verbs.form(self.rollcall, "model_import", {})

    def do_verify(self) -> None:
        self.rollcall.say("Reading every model file.")
        self.run_worker(self._show("model_verify"), exit_on_error=False)

    def do_settings(self) -> None:
        self.run_worker(self._show("config_show"), exit_on_error=False)

    async def _show(self, operation: str) -> None:
        from app.screens.result import Result

        found = await verbs.asked(self.rollcall, operation)
        if found is not None:
            self.rollcall.push_screen(Result(operation, found))


def _short(given: Any) -> str:
    if isinstance(given, dict):
        return ", ".join(f"{clean(inner)}" for inner in given.values() if isinstance(inner, str))
    return clean(given)


def _counted(count: int, many: str) -> str:
    """So many of something; one of it by its own word."""
    one = {"people": "person"}.get(many, many.removesuffix("s"))
    return f"{count} {one if count == 1 else many}"
