"""Every model rollcall knows, by name, and the profiles and packs made of them."""

from __future__ import annotations

from engine.errors import NotFound
from engine.models.catalogue import DETECTORS, EMBEDDERS
from engine.models.entry import ModelEntry

ENTRIES = DETECTORS + EMBEDDERS

PROFILE_NAMES = ("insightface", "open", "embedded")
"""Profiles in the order `auto` tries them."""

PROFILES: dict[str, tuple[tuple[str, str], ...]] = {
    "insightface": (
        ("det_10g", "w600k_r50"),
        ("det_500m", "w600k_mbf"),
        ("det_2.5g", "mobilefacenet_foamliu"),
        ("det_500m", "mobilefacenet_foamliu"),
    ),
    "open": tuple(
        (detector, embedder)
        for embedder in ("auraface_v1", "sface_2021dec", "mobilefacenet_foamliu")
        for detector in ("yunet_2023mar", "yunet_n_640", "yunet_n_320")
    ),
    "embedded": (("dlib_hog", "dlib_resnet"),),
}
"""Pairs of detector and embedder, best first."""

PACKS: dict[str, tuple[str, ...]] = {
    "buffalo_l": ("det_10g", "w600k_r50"),
    "buffalo_s": ("det_500m", "w600k_mbf"),
    "open": ("yunet_2023mar", "auraface_v1"),
    "open_small": ("yunet_2023mar", "sface_2021dec"),
}
"""Names under which several models are pulled together."""


def entry(name: str) -> ModelEntry:
    """The model of that name.

    Raises:
        NotFound: there is none.
    """
    for found in ENTRIES:
        if found.name == name:
            return found
    known = ", ".join([*PACKS, *(known.name for known in ENTRIES)])
    raise NotFound(f"There is no model named {name!r}.", f"Known are: {known}.")


def named(name: str) -> tuple[ModelEntry, ...]:
    """The models of a pack, or the one model of that name.

    Raises:
        NotFound: there is neither.
    """
    return tuple(entry(member) for member in PACKS.get(name, (name,)))
