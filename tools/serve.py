"""Runs the engine process."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.errors import RollcallError


def serve(home: Path) -> int:
    """Own the workspace and serve it until stopped; returns the exit status. Why it could not start is left in `engine.error.json`."""
    from engine.daemon import run

    reason = home / "engine.error.json"
    reason.unlink(missing_ok=True)
    try:
        run(home)
    except RollcallError as error:
        reason.write_text(json.dumps(error.as_dict()))
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


def main() -> None:
    """`python -m tools.serve --home FOLDER`."""
    parser = argparse.ArgumentParser(prog="rollcall engine run")
    parser.add_argument("--home", type=Path, required=True)
    sys.exit(serve(parser.parse_args().home))


if __name__ == "__main__":
    main()
