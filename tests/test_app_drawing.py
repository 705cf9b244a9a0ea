"""What the screens draw with: lines in cells, bars, pictures as half blocks, forms from the spec, a list that draws only what is seen."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from app import paint, spec, theme
from app.paint import Ink
from app.pictures import Picture, blocks, boxed, fitted, scaled
from app.widgets.rows import Rows
from engine import wire

INK = Ink(theme.DARK)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf", "Mn", "Me"]), max_size=60)


@given(TEXT, st.integers(1, 80))
def test_fitted_text_takes_exactly_its_cells(text: str, width: int) -> None:
    assert paint.wide(paint.fit(text, width)) == width
    assert paint.wide(paint.right(text, width)) == width


@given(st.lists(TEXT, max_size=6), st.integers(1, 100))
def test_line_takes_exactly_its_cells(texts: list[str], width: int) -> None:
    strip = INK.strip([(text, "text") for text in texts], width)
    assert strip.cell_length == width
    assert sum(paint.wide(segment.text) for segment in strip) == width


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.integers(0, 60))
def test_interval_bar_takes_its_width_whatever_the_figures(low: float, value: float, high: float, width: int) -> None:
    line = paint.interval(low, value, high, 100.0, width)
    assert sum(paint.wide(text) for text, _ in line) == width  # type: ignore[misc]


def test_interval_bar_shows_what_is_sure_expected_and_possible() -> None:
    assert [len(text) for text, _ in paint.interval(25, 50, 75, 100, 40)] == [10, 10, 10, 10]  # type: ignore[misc]
    assert paint.interval(0.0, 0.01, 0.01, 100, 40)[1][0] == "▅"


@given(st.text(max_size=200), st.integers(1, 40))
def test_wrapped_words_stay_inside_and_none_is_lost(text: str, width: int) -> None:
    text = paint.clean(text)
    lines = paint.wrap(text, max(2, width))
    assert all(paint.wide(line) <= max(2, width) for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_stretch_is_at_least_a_cell_and_in_its_place() -> None:
    assert paint.spread(0, 100, 0, 100, 50) == (0, 50)
    assert paint.spread(50, 50, 0, 100, 50) == (25, 26)
    assert paint.spread(100, 100, 0, 100, 50) == (49, 50)


@pytest.mark.parametrize(("us", "shown"), [(0, "0:00.00"), (1_500_000, "0:01.50"), (3_661_230_000, "1:01:01.23"), (59_999_000, "1:00.00")])
def test_clock(us: int, shown: str) -> None:
    assert paint.clock(us) == shown


@pytest.mark.parametrize(("probability", "shown"), [(1.0, "100 %"), (0.999, "99 %"), (0.5, "50 %"), (None, "-")])
def test_percent_never_claims_more_than_there_is(probability: float | None, shown: str) -> None:
    assert paint.percent(probability) == shown


def test_control_characters_of_names_never_reach_the_terminal() -> None:
    assert paint.clean("a\x1b[31mb\nc\u202e") == "a·[31mb·c·"


def gradient(width: int, height: int) -> Picture:
    return Picture(width, height, bytes(value for y in range(height) for x in range(width) for value in (x * 7 % 256, y * 11 % 256, 99)))


def test_half_block_holds_the_upper_pixel_over_the_lower() -> None:
    lines = blocks(gradient(6, 8), 6, 4)
    assert len(lines) == 4
    for row, line in enumerate(lines):
        cells = [segment.style for segment in line for _ in segment.text]
        assert len(cells) == 6
        for x, style in enumerate(cells):
            assert style is not None and style.color is not None and style.bgcolor is not None
            assert tuple(style.color.triplet or ()) == (x * 7, 2 * row * 11, 99)
            assert tuple(style.bgcolor.triplet or ()) == (x * 7, (2 * row + 1) * 11, 99)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 20))
def test_any_picture_fills_any_room(width: int, height: int, columns: int, rows: int) -> None:
    lines = blocks(gradient(width, height), columns, rows)
    assert [sum(len(segment.text) for segment in line) for line in lines] == [columns] * rows
    wide, tall = fitted(width, height, columns, rows)
    assert 1 <= wide <= columns and 1 <= tall <= max(rows, 1)


def test_equal_cells_are_sent_as_one_run() -> None:
    assert len(blocks(Picture(40, 40, b"\x10" * 4800), 40, 20)[0]) == 1


def test_without_colours_light_and_dark_are_told_by_characters() -> None:
    picture = Picture(2, 2, bytes([0, 0, 0, 255, 255, 255] * 2))
    assert blocks(picture, 2, 1, plain=True)[0][0].text == " @"
    assert Ink(theme.DARK, plain=True).style("text", "cursor").reverse
    assert Ink(theme.DARK, plain=True).style("accent").color is None


def test_box_is_drawn_on_its_edges_only() -> None:
    drawn = boxed(scaled(gradient(20, 20), 20, 20), [((0.25, 0.25, 0.75, 0.5), (1, 2, 3))])
    marked = {(n % 20, n // 20) for n in range(400) if drawn.pixels[3 * n : 3 * n + 3] == bytes((1, 2, 3))}
    assert marked == {(x, y) for x in range(5, 16) for y in range(5, 11) if x in (5, 15) or y in (5, 10)}


def test_every_theme_has_every_ink() -> None:
    for colours in theme.THEMES.values():
        assert colours.keys() == theme.DARK.keys()


def test_text_of_every_theme_can_be_read() -> None:
    """Contrast as WCAG 2 defines it: 4.5 for text, 3 for what is only an aside."""
    for colours in theme.THEMES.values():
        for ink, least in (("text", 7.0), ("dim", 4.5), ("accent", 4.5), ("bad", 4.5), ("good", 4.5)):
            for behind in ("background", "panel", "bar"):
                assert contrast(colours[ink], colours[behind]) >= least, (ink, behind, colours["background"])
        assert contrast(colours["text"], colours["cursor"]) >= 4.5


def contrast(one: str, other: str) -> float:
    lights = sorted((luminance(one), luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# forms


def op(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "a_b",
        "parameters": {"properties": properties, "required": [name for name, given in properties.items() if "default" not in given]},
    }


def test_fields_know_what_they_take() -> None:
    made = {
        field.name: field
        for field in spec.fields(
            op(
                tracks={"type": "array", "items": {"type": "string"}},
                at_s={"type": "array", "items": {"type": "number"}, "default": []},
                person={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                format={"enum": ["csv", "json"], "default": "csv"},
                force={"type": "boolean", "default": False},
                settings={"type": "object", "default": {}},
                dry_run={"type": "boolean", "default": False},
            )
        )
    }
    assert "dry_run" not in made
    assert next(iter(made)) == "tracks" and made["tracks"].required
    assert spec.value(made["tracks"], "1, 2@3-4") == ["1", "2@3-4"]
    assert spec.value(made["at_s"], "1.5,2") == [1.5, 2.0]
    assert spec.value(made["person"], "  ") is None
    assert spec.value(made["force"], "yes") is True
    assert spec.value(made["settings"], "track.max_gap_s=0.8, a.b=c") == {"track.max_gap_s": "0.8", "a.b": "c"}
    for name, text in (("format", "xml"), ("force", "perhaps"), ("at_s", "soon"), ("settings", "track")):
        with pytest.raises(ValueError):
            spec.value(made[name], text)


def test_what_a_field_shows_it_also_reads() -> None:
    for operation in wire.operations().values():
        for field in spec.fields(operation):
            if field.default is not None and field.kind != "mapping":
                assert spec.value(field, spec.shown(field.default)) == (field.default or None if field.kind == "list" else field.default), operation[
                    "name"
                ]


# the list


class Listed(App[None]):
    ink = INK

    def __init__(self, count: int) -> None:
        super().__init__()
        self.drawn = 0
        self.count = count

    def compose(self) -> ComposeResult:
        self.rows = Rows(self.draw, key=lambda row: row, words=lambda row: f"row {row}", fixed=lambda row: row % 10 == 0)
        yield self.rows

    def on_mount(self) -> None:
        self.rows.set_rows(range(self.count))
        self.rows.focus()

    def draw(self, row: int, width: int) -> paint.Line:
        self.drawn += 1
        return [(f"row {row}", "text")]


@pytest.mark.anyio
async def test_list_of_a_hundred_thousand_draws_only_what_is_seen() -> None:
    app = Listed(100_000)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.drawn = 0
        app.rows.do_down()
        await pilot.pause()
        assert app.rows.cursor == 2 and 1 <= app.drawn <= 2
        app.rows.do_last()
        await pilot.pause()
        assert app.rows.current == 99_999
        app.drawn = 0
        start = time.process_time()
        for _ in range(100):
            app.rows.do_page_up()
            await pilot.pause()
        assert app.drawn <= 100 * 20
        assert time.process_time() - start < 5


@pytest.mark.anyio
async def test_list_passes_over_headings_keeps_cursor_and_marks() -> None:
    app = Listed(200)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        rows = app.rows
        assert rows.current == 1
        for _ in range(9):
            rows.do_down()
        assert rows.current == 11
        rows.do_up()
        assert rows.current == 9
        rows.do_mark()
        assert rows.marked == {9} and rows.current == 11
        rows.set_rows(range(5, 150))
        assert rows.current == 11 and [row for row in rows.chosen()] == [9]
        rows.set_filter("row 14")
        assert list(rows.rows) == [14, 114, 141, 142, 143, 144, 145, 146, 147, 148, 149]
        rows.set_filter("")
        rows.go_to(149)
        rows.set_rows(range(5, 20))
        assert rows.current == 19
        rows.set_rows([])
        assert rows.current is None and rows.marked == set()
        rows.do_down(), rows.do_last(), rows.do_open(), rows.do_mark()


# starting fast is a feature


def test_first_screen_imports_nothing_heavy() -> None:
    """What the library's screen needs is imported at start, and nothing else: every one of these would be felt."""
    code = "import sys, app.app, app.screens.library; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pydantic", "numpy", "duckdb", "pyarrow", "httpx2", "mcp", "anyio", "cv2", "av", "PIL", "starlette", "uvicorn"}
    assert heavy.isdisjoint(found)
    late = {
        f"app.screens.{name}" for name in ("review", "people", "jobs", "health", "audit", "episode", "form", "palette", "help", "result", "moment")
    }
    assert late.isdisjoint(found)
