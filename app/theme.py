"""Colours: one accent, the rest greys; red and green only for what is wrong and what is done."""

from __future__ import annotations

from typing import Final

DARK: Final = {
    "background": "#121418",
    "panel": "#191c22",
    "bar": "#1f232b",
    "cursor": "#3a3320",
    "mark": "#2a2d36",
    "text": "#d7dae0",
    "dim": "#8b93a3",
    "faint": "#565d6b",
    "accent": "#ffb454",
    "soft": "#9a7038",
    "good": "#87c38a",
    "warn": "#ffb454",
    "bad": "#f0716b",
}

LIGHT: Final = {
    "background": "#fbfaf7",
    "panel": "#f2f0ea",
    "bar": "#e9e6de",
    "cursor": "#ffe3b3",
    "mark": "#eee8da",
    "text": "#22252b",
    "dim": "#5f6673",
    "faint": "#9aa0ab",
    "accent": "#9a5000",
    "soft": "#d9a766",
    "good": "#2a7336",
    "warn": "#9a5000",
    "bad": "#b3261e",
}

CONTRAST: Final = {
    "background": "#000000",
    "panel": "#000000",
    "bar": "#1c1c1c",
    "cursor": "#4e4e00",
    "mark": "#303030",
    "text": "#ffffff",
    "dim": "#d0d0d0",
    "faint": "#9e9e9e",
    "accent": "#ffff00",
    "soft": "#afaf00",
    "good": "#5fff5f",
    "warn": "#ffff00",
    "bad": "#ff8787",
}

THEMES: Final = {"dark": DARK, "light": LIGHT, "contrast": CONTRAST}
