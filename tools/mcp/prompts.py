"""Prompts for the usual tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, ListPromptsResult, Prompt, PromptArgument, PromptMessage, TextContent


@dataclass(frozen=True)
class Task:
    """A prompt: `text` with a place for each argument."""

    description: str
    arguments: dict[str, str]
    text: str


TASKS = {
    "relabel_episode": Task(
        "Settle what the machine is unsure of in one episode.",
        {"episode": "Episode id, or show-s01e02."},
        """Relabel episode {episode}.
1. totals_show it, and keep the figures.
2. Take queue_next for this episode. Look at the pictures: are these faces one person, and which of those compared with?
3. Clear: queue_accept, as proposed or with `person`, and `leave_out` for faces that do not belong. First for each part (`asked`) that is \
somebody else than proposed, `parts` naming a track it shows; then for the rest. \
Each with a one-sentence `reason` and the item's `rev`. Not that person but unclear who: cluster_reject or track_reject. Not a face: track_exclude. \
Cannot tell: queue_skip. More than one person in a track: track_split where they change.
4. Go on until queue_next has no item and nothing is `pending`, or what is left holds too few seconds to matter. \
If a change is refused, do what the sentence says.
5. totals_show again until it is not `pending`, and report what changed, what you left and why, and the batches (decision_undo takes each back).""",
    ),
    "check_person": Task(
        "Check one person's labels over the episodes of a season.",
        {"person": "Name or id.", "show": "Show id or slug.", "season": "Season number."},
        """Check {person} over season {season} of show {show}.
1. Find the person with person_list and the season's episodes with episode_list.
2. In each episode list their tracks (track_list with person_id), the least probable first, and look at each doubtful one with track_show: \
the same face as in the surest tracks?
3. Wrong: track_reject, or track_assign when you are sure who it is, with a `reason`. Look for tracks of theirs under other names among candidates.
4. Report each episode's seconds before and after, and what stayed in doubt.""",
    ),
    "export_season": Task(
        "Export the totals of every episode of a season.",
        {"show": "Show id or slug.", "season": "Season number."},
        """Export season {season} of show {show}.
1. episode_list the show; take the episodes of the season that have an active run, and name those that have not.
2. export_create each as csv, and report file, rows and digest of each.
3. Name episodes whose totals have wide intervals (visual_low_s and visual_high_s far apart): they need review first.""",
    ),
}


def listed() -> ListPromptsResult:
    """All prompts."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                description=task.description,
                arguments=[PromptArgument(name=argument, description=meaning, required=True) for argument, meaning in task.arguments.items()],
            )
            for name, task in TASKS.items()
        ]
    )


def filled(name: str, arguments: dict[str, str]) -> GetPromptResult:
    """A prompt with its arguments, each as quoted data.

    Raises:
        MCPError: there is no such prompt, or an argument is missing.
    """
    task = TASKS.get(name)
    if task is None:
        raise MCPError(INVALID_PARAMS, f"There is no prompt {name!r}. There are: {', '.join(TASKS)}.")
    if missing := [argument for argument in task.arguments if not arguments.get(argument)]:
        raise MCPError(INVALID_PARAMS, f"{name}: {', '.join(missing)} missing.")
    quoted = {argument: json.dumps(arguments[argument], ensure_ascii=False) for argument in task.arguments}
    return GetPromptResult(description=task.description, messages=[PromptMessage(role="user", content=TextContent(text=task.text.format(**quoted)))])
