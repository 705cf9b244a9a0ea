"""The toolkit's compositor, mended: what a layout changed is painted, also when somebody looked at the map of widgets just before."""

from __future__ import annotations

from textual import screen
from textual._compositor import Compositor as ToolkitCompositor
from textual._compositor import CompositorMap, ReflowResult
from textual.geometry import Size
from textual.widget import Widget


class Compositor(ToolkitCompositor):
    """Compares a layout with the layout before it.

    The toolkit (8.2.8, the newest; in no report of its tracker that we found) compares it with `full_map`, which is made anew between layouts when
    it was invalidated: by scrolling, or by a refresh of a widget that is not visible, as in a small terminal. `Screen._on_update` asks for
    `full_map`, and a widget that was changed posts its update before its layout. So the map was of after the change already when the layout was
    compared with it, nothing differed, and nothing was painted: an expired toast stayed on the terminal until something painted everything.
    """

    def __init__(self) -> None:
        super().__init__()
        self._laid_out: CompositorMap = {}

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out: the regions that differ from the last layout, or from a map made since, are painted."""
        since, self._full_map = self._full_map, self._laid_out
        found = super().reflow(parent, size)
        self._laid_out = self._full_map
        changed = (place.clip.intersection(place.region) for _, place in since.items() ^ self._laid_out.items())
        self._dirty_regions.update(region for region in changed if region)
        return found

    def clear(self) -> None:
        """Forget all widgets, when the screen closes."""
        super().clear()
        self._laid_out.clear()


def use() -> None:
    """Screens made from now on have this compositor."""
    screen.Compositor = Compositor  # type: ignore[attr-defined]
