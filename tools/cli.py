"""`rollcall`: every operation as noun and verb, and the few commands that are more than one operation.

stdout is data, stderr is for people; exit status 0 is success, 1 a failure with no status of its own, 2 bad
input, 3 refused, 4 a model's fault, 5 the library's, 69 no engine, 130 cancelled or let go.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from engine import wire
from engine.errors import BadInput, RollcallError, from_dict
from engine.platform import default_home
from engine.version import VERSION
from tools import arguments, render
from tools.follow import Detached, follow


def _print(text: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="rollcall", description="Who was on screen, and for how long: local, correctable, honest about uncertainty."
    )
    parser.add_argument("--home", type=Path, default=None, help="The workspace (else ROLLCALL_HOME, else the platform's data folder).")
    parser.add_argument("--actor", default=None, help="Act as person:NAME, agent:NAME or script:NAME.")
    parser.add_argument("--version", action="version", version=f"rollcall {VERSION}")
    nouns = parser.add_subparsers(dest="noun", metavar="COMMAND")

    run = nouns.add_parser("run", help="Add a video and analyse it, with live progress.")
    operations = wire.operations()
    arguments.add_parameters(run, operations["episode_add"])
    run.add_argument("--set", dest="settings", action="append", metavar="NAME=VALUE", help="Override a setting for this analysis.")
    run.add_argument("--json", action="store_true", help="End with one line of JSON: episode_id and run_id.")
    run.set_defaults(command=run_video)

    demo = nouns.add_parser("demo", help="Make a labelled episode, analyse it and print totals beside the truth.")
    demo.add_argument("--profile", choices=["auto", "insightface", "open", "embedded"], default="auto", help="Models to use.")
    demo.add_argument("--json", action="store_true", help="Print JSON.")
    demo.set_defaults(command=run_demo)

    doctor = nouns.add_parser("doctor", help="Check the installation and the library; say what to do about what is wrong.")
    doctor.add_argument("--json", action="store_true", help="Print JSON.")
    doctor.set_defaults(command=run_doctor)

    engine = nouns.add_parser("engine", help="The engine process: run, start, stop, status.")
    engine.add_argument("action", choices=["run", "start", "stop", "status"], help="`run` stays in the foreground.")
    engine.add_argument("--json", action="store_true", help="Print JSON.")
    engine.set_defaults(command=run_engine)

    mcp = nouns.add_parser("mcp", help="Serve agents over MCP on stdin and stdout.")
    mcp.add_argument("--agent", metavar="NAME", default="mcp", help="The name its changes are signed with, and under which its limits are set.")
    mcp.add_argument(
        "--toolsets", metavar="NAMES", help="Comma-separated: review (the default), curation, catalog, voice, export, live, admin; or all."
    )
    mcp.add_argument("--tools", metavar="NAMES", help="Single tools, comma-separated; alone or besides the toolsets.")
    mcp.add_argument("--read-only", action="store_true", help="Offer nothing that changes anything.")
    mcp.add_argument("--list", action="store_true", help="Print the tools that would be offered, and end.")
    mcp.add_argument("--token", action="store_true", help="Print the token with which this agent is served over HTTP (see agents.port), and end.")
    mcp.set_defaults(command=run_mcp)

    op = nouns.add_parser("op", help="Run any operation with its parameters as JSON, for scripts.")
    op.add_argument("operation", metavar="NAME", choices=sorted(operations), help="For instance track_list.")
    op.add_argument("--json", dest="parameters", metavar="JSON", default="{}", help="Its parameters as one JSON object; - reads them from stdin.")
    op.add_argument("--key", default=None, help="Under this key a repeat of a change is recognised, and gets the first answer.")
    op.set_defaults(command=run_op, json=True)

    arguments.add_operations(nouns, operations)
    return parser


def run_video(client: wire.Client, given: argparse.Namespace) -> int:
    """Add a video, analyse it and show the totals; a second time nothing is left to do."""
    operations = wire.operations()
    settings = arguments.settings(given.settings or [])
    client.call("config_show", {"settings": settings})  # what is wrong with them is said before anything is added
    added = client.call("episode_add", arguments.parameters(given, operations["episode_add"]))
    for variable in client.environment_differs():
        _say(f"note: the running engine was started without {variable}; `rollcall engine stop` lets the next command start one with it.")
    episode_id = str(added["episode_id"])
    if not added["added"]:
        _say(f"{given.path} is in the library as episode {episode_id} ({added['title']}, show {added['show']}).")
    for warning in added["warnings"]:
        _say(f"note: {warning}")
    job = client.call("episode_analyse", {"episode": episode_id, "settings": settings})
    _say(f"job {job['job_id']}: analysing episode {episode_id}")
    result = follow(client, job["job_id"])["result"]
    _say(" ".join(filter(None, (result["models"], result["better"]))))
    if not result["computed"]:
        _say("nothing to do: everything was computed before.")
    if given.json:
        _print(json.dumps({"episode_id": result["episode_id"], "run_id": result["run_id"]}))
    else:
        _print(render.totals(client.call("totals_show", {"episode": episode_id})))
    return 0


def run_screens(client: wire.Client, given: argparse.Namespace) -> int:
    """The terminal screens."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        _say("The screens need a terminal. `rollcall --help` lists the commands for scripts.")
        return 2
    import gc

    gc.disable()  # until the screens are there: what is imported stays, and looking through it for garbage takes a tenth of the start
    from app.app import run

    return run(client.home, client.actor)


def run_demo(client: wire.Client, given: argparse.Namespace) -> int:
    """Make the demo episode and hold the program to its truth."""
    from tools.demo import show

    outcome = show.run(client.home, client.actor, given.profile, _say)
    _print(json.dumps(outcome) if given.json else show.text(outcome))
    return 0 if outcome["ok"] else 1


def run_doctor(client: wire.Client, given: argparse.Namespace) -> int:
    """Check everything that can be wrong."""
    from tools import doctor

    findings = doctor.examine(client)
    _print(json.dumps(findings) if given.json else doctor.text(findings))
    return 1 if any(finding["state"] == "wrong" for finding in findings) else 0


def run_engine(client: wire.Client, given: argparse.Namespace) -> int:
    """Run, start, stop or look at the engine."""
    if given.action == "run":
        from tools.serve import serve

        return serve(client.home)
    if given.action == "start":
        client.ensure_running()
    ran = client.stop() if given.action == "stop" else client.ping() is not None
    status: dict[str, Any] = {"running": ran and given.action != "stop", "home": str(client.home)}
    if status["running"]:
        status.update(client.ping() or {})
    if given.json:
        _print(json.dumps(status))
    elif given.action == "stop":
        _print("stopped" if ran else "no engine was running")
    else:
        _print(render.details(status) if status["running"] else f"no engine runs for {client.home}")
    return 0


def run_mcp(client: wire.Client, given: argparse.Namespace) -> int:
    """Serve agents over a pipe."""
    from tools.mcp import stdio

    return stdio.run(client, given)


def run_op(client: wire.Client, given: argparse.Namespace) -> int:
    """Run an operation as a script gives it: JSON in, JSON out."""
    text = sys.stdin.read() if given.parameters == "-" else given.parameters
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise BadInput(f"The parameters are not JSON: {error}.", "Write --json '{\"name\": value}'.") from error
    if not isinstance(parameters, dict):
        raise BadInput("The parameters are not a JSON object.", "Write --json '{\"name\": value}'.")
    _print(json.dumps(client.call(given.operation, parameters, idem_key=given.key)))
    return 0


def run_operation(client: wire.Client, given: argparse.Namespace) -> int:
    """Run one operation and show its result."""
    name = given.operation
    sent = arguments.parameters(given, wire.operations()[name])
    if name == "job_wait" and not given.json and "timeout_s" not in sent:
        follow(client, sent["job_id"])
    result = client.call(name, sent)
    if name in ("model_pull", "facebank_import") and not given.json:
        result = follow(client, result["job_id"])
    _print(json.dumps(result) if given.json else _readable(name, result))
    return from_dict(result["error"]).exit_status if name == "job_wait" and result["error"] else 0


def _readable(name: str, result: dict[str, Any]) -> str:
    if name == "totals_show":
        return render.totals(result)
    if set(result) <= {"rows", "next_cursor"}:
        more = f"\nmore: --cursor {result['next_cursor']}" if result.get("next_cursor") else ""
        return render.table(result["rows"]) + more
    return render.details(result)


def _screens_wanted(argv: list[str]) -> argparse.Namespace | None:
    """What `rollcall` alone was given (its own flags and nothing else): the parser of every command is not built for it, which would take half
    of the time until the screens are there."""
    values = iter(argv)
    given: dict[str, Any] = {"home": None, "actor": None, "noun": None}
    for value in values:
        name, equals, text = value.partition("=")
        if name not in ("--home", "--actor"):
            return None
        text = text if equals else next(values, "")
        if not text:
            return None
        given[name[2:]] = Path(text) if name == "--home" else text
    return argparse.Namespace(**given)


def main(argv: list[str] | None = None) -> None:
    """The console script."""
    given = _screens_wanted(sys.argv[1:] if argv is None else argv) or build_parser().parse_args(argv)
    home = (given.home or default_home()).expanduser().absolute()
    command = getattr(given, "command", run_operation if given.noun else run_screens)
    try:
        status = command(wire.Client(home, given.actor), given)
    except RollcallError as error:
        _say(f"{render.colour('error:', '31', sys.stderr)} {error}")
        if getattr(given, "json", False):
            _print(json.dumps({"error": error.as_dict()}))
        status = error.exit_status
    except Detached as detached:
        _say(f"\n{detached}")
        status = 130
    except KeyboardInterrupt:
        status = 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) or not getattr(error, "filename", None):
            status = _stdout_is_gone()
        else:
            _say(f"error: {error.strerror}: {error.filename}")
            status = 1
    sys.exit(status)


def _stdout_is_gone() -> int:
    """Whoever read our stdout has enough; without this Python would complain when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


if __name__ == "__main__":
    main()
