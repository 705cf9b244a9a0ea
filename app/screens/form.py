"""The form of an operation, made from the spec; what destroys asks for its name first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input

from app import spec, verbs
from app.paint import Line, clean, fit, wrap
from app.screens.ask import BOX
from app.widgets.panel import Panel
from engine.errors import RollcallError

LABEL = 16


class FieldInput(Input):
    """A field: down and up go from field to field, tab completes a path, left and right turn through choices when it is empty or one of them."""

    def __init__(self, field: spec.Field, value: str) -> None:
        super().__init__(value, placeholder=_placeholder(field))
        self.field = field

    def on_key(self, event: events.Key) -> None:
        if event.key == "down":
            self.screen.focus_next(FieldInput)
        elif event.key == "up":
            self.screen.focus_previous(FieldInput)
        elif event.key == "tab" and self.field.kind == "path" and (longer := completed(self.value)) != self.value:
            self.value = longer
            self.cursor_position = len(longer)
        elif event.key in ("left", "right") and self._turn(1 if event.key == "right" else -1):
            pass
        else:
            return
        event.stop()
        event.prevent_default()

    def _turn(self, by: int) -> bool:
        choices = self.field.choices or (("yes", "no") if self.field.kind == "boolean" else ())
        if not choices or (self.value and self.value not in choices):
            return False
        at = choices.index(self.value) + by if self.value else (0 if by > 0 else -1)
        self.value = choices[at % len(choices)]
        return True


class Form(ModalScreen[dict[str, Any] | None]):
    """Asks for an operation's parameters, runs it, and closes with its answer; errors stay beside the fields."""

    DEFAULT_CSS = (
        BOX.format(name="Form")
        + """
    Form VerticalScroll { height: auto; max-height: 60vh; }
    Form .field { height: 1; layout: horizontal; }
    Form .field Panel { width: 17; }
    Form .field Input { width: 1fr; }
    """
    )
    BINDINGS: ClassVar = [
        Binding("escape", "leave", show=False),
        Binding("ctrl+d", "try", show=False),
        Binding("ctrl+s", "send", show=False),
    ]

    def __init__(self, op: dict[str, Any], known: dict[str, Any]) -> None:
        super().__init__()
        self.op = op
        self._fields = spec.fields(op)
        self._known = known
        self._trouble = ""
        self._armed = False
        self._busy = False

    def compose(self) -> ComposeResult:
        noun, verb = self.op["name"].split("_", 1)
        self._title = Panel(
            lambda width, height: [[(f"{noun} {verb}", "title")], *([(line, "dim")] for line in wrap(self.op["doc"], width))], on="panel"
        )
        self._title.styles.height = 1 + len(wrap(self.op["doc"], 70))
        rows = []
        for field in self._fields:
            given = self._known.get(field.name)
            row = Vertical(Panel(_labeller(field), on="panel"), FieldInput(field, spec.shown(given)), classes="field")
            rows.append(row)
        self._foot = Panel(self._draw_foot, on="panel")
        self._foot.styles.height = 5
        yield Vertical(self._title, VerticalScroll(*rows), self._foot, classes="box")

    def on_mount(self) -> None:
        inputs = list(self.query(FieldInput))
        empty = next((given for given in inputs if given.field.required and not given.value), None)
        if inputs:
            (empty or inputs[0]).focus()

    def _draw_foot(self, width: int, height: int) -> list[Line]:
        focused = self.focused
        lines: list[Line] = []
        if self._trouble:
            lines += [[(line, "bad")] for line in wrap(self._trouble, width)[:3]]
        elif isinstance(focused, FieldInput):
            lines += [[(line, "dim")] for line in wrap(focused.field.help, width)[:3]]
        lines = [*lines, *([[]] * (4 - len(lines)))][:4]
        keys: list[tuple[str, str] | tuple[str, str, str]] = [("enter", "key", "screen.send()"), (" run  ", "dim")]
        if spec.can_try(self.op):
            keys += [("^d", "key", "screen.try()"), (" try without changing  ", "dim")]
        return [*lines, [*keys, ("↑↓", "key"), (" fields  ", "dim"), ("esc", "key", "screen.leave()"), (" leave", "dim")]]

    def on_descendant_focus(self) -> None:
        self._foot.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_send()

    def action_leave(self) -> None:
        """Close without running anything."""
        self.dismiss(None)

    def action_try(self) -> None:
        """Ask what it would do."""
        if spec.can_try(self.op):
            self._start(trial=True)

    def action_send(self) -> None:
        """Run it; what removes for good has to be asked for twice."""
        if self.op["effect"] == "destroy" and not self._armed:
            self._armed = True
            self._say(f"This cannot be undone: {self.op['doc']} Enter again does it, esc leaves it.")
            return
        self._start(trial=False)

    def _start(self, *, trial: bool) -> None:
        if self._busy:
            return
        given: dict[str, Any] = {"dry_run": True} if trial else {}
        for field in self.query(FieldInput):
            try:
                found = spec.value(field.field, field.value)
            except ValueError as error:
                field.focus()
                self._say(f"{field.field.name} {error}.")
                return
            if found is None and field.field.required:
                field.focus()
                self._say(f"{field.field.name} is needed.")
                return
            if found is not None:
                given[field.field.name] = str(Path(found).expanduser().absolute()) if field.field.kind == "path" else found
        self._busy = True
        self.run_worker(self._run(given, trial), exit_on_error=False)

    async def _run(self, given: dict[str, Any], trial: bool) -> None:
        try:
            answer = await self.app.link.ask(self.op["name"], **given)  # type: ignore[attr-defined]
        except RollcallError as error:
            self._armed = False
            self._say(str(error))
            return
        finally:
            self._busy = False
        if trial:
            verbs.tell(self.app, answer, "")  # type: ignore[arg-type]
            return
        self.dismiss(answer)

    def _say(self, text: str) -> None:
        self._trouble = clean(text)
        self._foot.redraw()


def _labeller(field: spec.Field) -> Any:
    label = field.name.replace("_", " ")
    return lambda width, height: [[(fit(label, LABEL), "text" if field.required else "dim")]]


def _placeholder(field: spec.Field) -> str:
    if field.choices:
        return " / ".join(field.choices)
    words = {"boolean": "yes / no", "list": "one, or several with commas", "mapping": "name=value, name=value", "path": "tab completes"}
    default = f"{spec.shown(field.default)}" if field.default not in (None, "", [], {}) else ""
    return words.get(field.kind, "") or (f"{default} when left empty" if default else ("" if field.required else "may stay empty"))


BESIDE = (".json", ".rttm", ".srt", ".vtt", ".ass", ".txt", ".nfo", ".csv", ".md")
"""Ends of files that lie beside films and are none."""


def completed(text: str) -> str:
    """A path as far as it can only go one way, past the words that lie beside a film."""
    given = Path(text).expanduser() if text else Path.cwd()
    folder, start = (given, "") if text.endswith("/") or not text else (given.parent, given.name)
    try:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir() if entry.name.startswith(start))
    except OSError:
        return text
    names = [name for name in names if not name.startswith(".")] if not start.startswith(".") else names
    names = [name for name in names if not name.endswith(BESIDE)] or names
    if not names:
        return text
    common = names[0]
    for name in names[1:]:
        common = common[: next((n for n, (a, b) in enumerate(zip(common, name, strict=False)) if a != b), min(len(common), len(name)))]
    return str(folder / common) + ("/" if common.endswith("/") else "") if common else text
