"""What the long drills have in common: how they are asked for, and how they tell of what happened."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Protocol


class Figures(Protocol):
    """What a drill found."""

    def clean(self) -> bool:
        """Whether all was well."""
        ...


def asked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with a seed and a file for the figures; the seed is said, so that a drill can be done again."""
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sys.stderr.write(f"seed {arguments.seed}\n")
    return arguments


def tell(figures: Figures, file: Path | None) -> None:
    """Print the figures, keep them, and end with a status that says whether all was well."""
    told = json.dumps(vars(figures), indent=1) + "\n"
    if file:
        file.write_text(told)
    sys.stdout.write(told)
    sys.exit(0 if figures.clean() else 1)
