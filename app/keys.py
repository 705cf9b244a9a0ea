"""The one key table: keys, footer, help and palette are views of it, and a file can change every key.

Operators' own keys are in `keys.toml` of the workspace, an id and its keys a line:

    "review.skip" = "z"
    "everywhere.undo" = "u,ctrl+z"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

FILE_NAME = "keys.toml"


@dataclass(frozen=True)
class Action:
    """Something a key does in a place. `hint` is its word in the footer (none: only in help); `later` says why it cannot be done yet."""

    id: str
    keys: str
    doc: str
    hint: str = ""
    operations: tuple[str, ...] = ()
    later: str = ""

    @property
    def place(self) -> str:
        """Where it works."""
        return self.id.split(".")[0]

    @property
    def verb(self) -> str:
        """What it is called there."""
        return self.id.split(".")[1]


LIVE = "It comes with live capture, which this version does not have yet."

ACTIONS: tuple[Action, ...] = (
    # everywhere
    Action("everywhere.library", "L", "Go to the library: shows, seasons, episodes."),
    Action("everywhere.people", "P", "Go to the people of a show."),
    Action("everywhere.review", "R", "Go to the review queue: what is worth asking a person.", "review", ("queue_list", "queue_next")),
    Action("everywhere.jobs", "J", "Go to the jobs."),
    Action("everywhere.health", "H", "Go to the health of engine, store and models."),
    Action("everywhere.audit", "A", "Go to the audit: who decided what.", "", ("decision_list",)),
    Action("everywhere.live", "ctrl+l", "Go to the live capture.", later=LIVE),
    Action("everywhere.experiments", "ctrl+e", "Go to the experiments.", later=LIVE),
    Action("everywhere.physiology", "ctrl+o", "Go to the physiology.", later=LIVE),
    Action("everywhere.sessions", "ctrl+s", "Go to the sessions.", later=LIVE),
    Action("everywhere.undo", "u", "Undo your newest decision, wherever it was made.", "undo", ("decision_undo",)),
    Action("everywhere.redo", "U", "Redo what you undid last.", "", ("decision_redo",)),
    Action("everywhere.palette", "colon,ctrl+p", "Run any operation or action by name.", "any command"),
    Action("everywhere.help", "question_mark,f1", "All keys that work here, and what they do.", "keys"),
    Action("everywhere.back", "escape", "Leave what is open; go back."),
    Action("everywhere.theme", "ctrl+t", "Next colours: dark, light, contrast."),
    Action("everywhere.refresh", "f5", "Read everything on the screen afresh."),
    Action("everywhere.quit", "q", "Leave. The engine's work goes on, and you come back to where you were."),
    # lists
    Action("list.up", "up,k", "One row up."),
    Action("list.down", "down,j", "One row down."),
    Action("list.page_up", "pageup,ctrl+b", "A page up."),
    Action("list.page_down", "pagedown,ctrl+f", "A page down."),
    Action("list.first", "home,g", "The first row."),
    Action("list.last", "end,G", "The last row."),
    Action("list.left", "left", "One picture to the left."),
    Action("list.right", "right", "One picture to the right."),
    Action("list.open", "enter", "Open the row.", "open"),
    Action("list.mark", "space", "Mark the row or picture; what you do next is done to all marked.", "mark"),
    Action("list.mark_all", "asterisk", "Mark all rows or pictures, or none."),
    Action("list.filter", "slash", "Show only what holds the words you type.", "filter"),
    # library
    Action("library.add", "a", "Add a video file.", "add video", ("episode_add",)),
    Action("library.show", "n", "Add a show, so that its episodes share their people.", "new show", ("show_add",)),
    Action("library.analyse", "s", "Analyse the episode; progress is shown in its row.", "analyse", ("episode_analyse",)),
    Action("library.settings", "S", "Analyse the episode with settings of your own.", "", ("episode_analyse",)),
    Action("library.cancel", "c", "Stop the analysis of the episode; what is finished is kept.", "", ("job_cancel",)),
    Action("library.queue", "r", "Review this episode's queue.", "", ("queue_next",)),
    Action("library.remove", "D", "Remove the episode and all its results; asks first.", "", ("episode_remove",)),
    # jobs
    Action("jobs.cancel", "c", "Stop the job; what it has finished is kept and used by a retry.", "stop", ("job_cancel",)),
    Action("jobs.retry", "r", "Run a failed or stopped job again from where it ended.", "retry", ("job_retry",)),
    # health
    Action("health.pull", "p", "Download the model. Nothing is ever downloaded without being asked for.", "download", ("model_pull",)),
    Action("health.imported", "i", "Take model files from a folder.", "import", ("model_import",)),
    Action("health.verify", "v", "Read every model file again and hold it to its digest.", "verify", ("model_verify",)),
    Action("health.settings", "s", "Every setting with its value and where it came from.", "settings", ("config_show",)),
    # people
    Action("people.show", "s", "People of the next show.", "next show"),
    Action("people.add", "a", "Add a person before they have been seen.", "add", ("person_add",)),
    Action("people.name", "n", "Name the person, or rename them.", "name", ("person_rename",)),
    Action("people.merge", "m", "Merge the person into another: they are the same.", "merge", ("person_merge",)),
    Action("people.alias", "l", "Give the person another name they are known by.", "", ("person_alias",)),
    Action("people.feature", "f", "Choose the picture the person is shown by.", "", ("person_feature",)),
    Action("people.bank", "b", "The person's facebank: the faces they are recognised by.", "facebank", ("facebank_list", "facebank_remove")),
    Action("people.imported", "i", "Fill the facebank from a folder of pictures.", "", ("facebank_import",)),
    Action("people.archive", "x", "Put the person away; their seconds stay.", "", ("person_archive",)),
    Action("people.forget", "D", "Forget the person for good, everywhere; asks first.", "", ("person_forget",)),
    # episode
    Action("episode.next_tab", "tab,right_square_bracket", "The next tab."),
    Action("episode.previous_tab", "shift+tab,left_square_bracket", "The tab before."),
    Action("episode.queue", "r", "Review this episode's queue.", "review", ("queue_next",)),
    Action("episode.exported", "e", "Export this episode's totals or tracks to a file.", "export", ("export_create",)),
    Action(
        "episode.runs",
        "w",
        "The analyses made of this episode; : analysis compare and : analysis activate work on one by its number.",
        "",
        ("analysis_list",),
    ),
    # results
    Action("results.name", "n", "Name the person, or rename them.", "name", ("person_rename",)),
    Action("results.person", "p", "The person in all episodes."),
    Action("results.exports", "x", "The files exported so far.", "", ("export_list",)),
    # tracks, identities
    Action("faces.candidate", "1,2,3,4,5,6,7,8,9", "It is this likely person.", "", ("track_assign", "cluster_assign")),
    Action("faces.assign", "a", "Say who it is: pick a person or type a new name.", "assign", ("track_assign", "cluster_assign")),
    Action("faces.name", "n", "Name the person it is taken for, everywhere.", "name", ("person_rename",)),
    Action("faces.reject", "x", "It is not the person it is taken for.", "not them", ("track_reject", "cluster_reject")),
    Action("faces.exclude", "X", "It is not a face.", "", ("track_exclude",)),
    Action(
        "faces.split", "s", "Split the track at the shown moment, or the marked faces off the cluster.", "split", ("track_split", "cluster_split")
    ),
    Action("faces.merge", "m", "Merge the cluster into another: they are the same person.", "merge", ("cluster_merge",)),
    Action("faces.lock", "l", "Lock what is decided against agents and machines.", "lock", ("track_lock",)),
    Action("faces.unlock", "O", "Unlock it.", "", ("track_unlock",)),
    Action("faces.propagate", "p", "Spread the label to faces it fits; shows them first.", "spread", ("propagate_preview", "propagate_apply")),
    Action("faces.bank", "b", "Put the faces into the person's facebank.", "", ("facebank_add",)),
    Action("faces.feature", "f", "Show the person by this face.", "", ("person_feature",)),
    Action("faces.moment", "v", "See the moment: the frame, the frames around it, a link to it.", "view", ("frame_strip",)),
    # detections
    Action("detections.earlier", "left,comma", "One analysed frame earlier.", "earlier"),
    Action("detections.later", "right,full_stop", "One analysed frame later.", "later"),
    Action("detections.shot_before", "pageup", "The shot before.", "shot before"),
    Action("detections.shot_after", "pagedown", "The next shot.", "shot after"),
    Action("detections.less", "minus", "Show boxes with a lower detector score too.", "threshold"),
    Action("detections.more", "plus,equals_sign", "Show only boxes with a higher detector score."),
    Action("detections.moment", "v", "See the moment: the frame, the frames around it, a link to it.", "view", ("frame_strip",)),
    # review
    Action("review.accept", "y,enter", "Yes: all is as proposed, apart from the faces you marked.", "yes", ("queue_accept",)),
    Action(
        "review.candidate", "1,2,3,4,5,6,7,8,9", "It is this likely person, apart from the faces you marked.", "", ("queue_accept", "track_assign")
    ),
    Action("review.assign", "a", "It is somebody else: pick a person or type a new name.", "somebody else", ("queue_accept", "track_assign")),
    Action("review.unknown", "0", "It is not the person proposed; or nobody who needs a name.", "not them", ("cluster_reject", "track_reject")),
    Action("review.mark", "m", "Mark the face: it does not belong to the others. What you answer leaves it out.", "mark"),
    Action(
        "review.split", "s", "The marked faces are somebody else: take them out. A track of two people: cut it.", "", ("cluster_split", "track_split")
    ),
    Action("review.exclude", "X", "The marked faces, or all of them, are not faces.", "", ("track_exclude",)),
    Action("review.play", "space", "Play the stretch the face is in.", "play", ("frame_strip",)),
    Action("review.skip", "tab,n", "Later: show the next item. This one comes again in a day.", "later", ("queue_skip",)),
    Action("review.left", "left,h", "The face to the left."),
    Action("review.right", "right,l", "The face to the right."),
    Action("review.up", "up,k", "A row of faces up."),
    Action("review.down", "down,j", "A row of faces down."),
    Action("review.moment", "v", "See the moment of the face: the frame, and the frames around it.", "view", ("frame_strip",)),
    Action("review.lock", "o", "Lock what was decided about the faces.", "", ("track_lock",)),
    Action(
        "review.suggestions",
        "S",
        "Who the undecided faces of the episode probably are: take or dismiss many at once.",
        "",
        ("suggestion_list", "suggestion_accept", "suggestion_dismiss"),
    ),
    Action(
        "review.proposals", "w", "What agents propose and wait for a person to accept.", "", ("proposal_list", "proposal_accept", "proposal_dismiss")
    ),
    # what agents propose
    Action(
        "proposals.accept",
        "y",
        "Accept the marked proposals, or the one under the cursor: they become your decisions.",
        "accept",
        ("proposal_accept",),
    ),
    Action("proposals.dismiss", "d", "Say no to the marked proposals, or the one under the cursor.", "dismiss", ("proposal_dismiss",)),
    # many faces at once
    Action("choosing.apply", "y", "Do it to the marked faces.", "do it", ("propagate_apply", "suggestion_accept")),
    Action("choosing.dismiss", "d", "The marked faces are not who they are suggested to be.", "dismiss", ("suggestion_dismiss",)),
    # audit
    Action(
        "audit.undo", "enter,z", "Undo the decision under the cursor with its batch; asks when others build on it.", "undo it", ("decision_undo",)
    ),
    Action("audit.redo", "Z", "Redo the decision under the cursor.", "redo it", ("decision_redo",)),
    Action("audit.actor", "x", "Undo everything its actor decided since then.", "undo actor", ("decision_undo",)),
    Action("audit.mine", "m", "Only your decisions, or everybody's.", "mine"),
    # a moment
    Action("moment.earlier", "left", "Earlier.", "earlier"),
    Action("moment.later", "right", "Later.", "later"),
    Action("moment.play", "space", "Play, or stop.", "play"),
    Action("moment.copy", "y", "Copy a link to this moment.", "copy link"),
    Action("moment.clip", "c", "Write the stretch, with half a second on both sides, as a clip into the exports folder.", "clip", ("clip_create",)),
    Action("moment.open", "o", "Open the stretch as a clip in your own player.", "player", ("clip_create",)),
)


def fixed(actions: tuple[Action, ...] = ACTIONS) -> dict[str, Action]:
    """The table by id."""
    return {action.id: action for action in actions}


class Keys:
    """The table with the operator's own keys in it; `faults` says what in their file could not be used."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self.table = fixed()
        self.faults: list[str] = []
        for name, keys in (own or {}).items():
            if name not in self.table:
                self.faults.append(f"{FILE_NAME}: there is no action {name!r}.")
            elif not isinstance(keys, str) or not keys.strip():
                self.faults.append(f"{FILE_NAME}: {name} needs its keys as text.")
            else:
                self.table[name] = replace(self.table[name], keys=",".join(key.strip() for key in keys.split(",")))
        self.faults += clashes(self.table)

    @classmethod
    def read(cls, home: Path) -> Keys:
        """The operator's keys of a workspace; a file that cannot be read leaves the keys as they are and says so."""
        path = home / FILE_NAME
        if not path.is_file():
            return cls()
        import tomllib

        try:
            return cls(tomllib.loads(path.read_text()))
        except (OSError, ValueError) as error:
            made = cls()
            made.faults.append(f"{FILE_NAME}: {error}")
            return made

    @property
    def own(self) -> list[Action]:
        """The actions that have other keys than the table gives them: the toolkit looks through these at every key pressed."""
        given = fixed()
        return [action for name, action in self.table.items() if action.keys != given[name].keys]

    def of(self, *places: str) -> list[Action]:
        """The actions of places, in the table's order."""
        return [action for action in self.table.values() if action.place in places]


def clashes(table: Mapping[str, Action]) -> list[str]:
    """Keys that stand for two things in one place."""
    found = []
    seen: dict[tuple[str, str], str] = {}
    for action in table.values():
        for key in action.keys.split(","):
            other = seen.setdefault((action.place, key), action.id)
            if other != action.id:
                found.append(f"{FILE_NAME}: {shown(key)} is both {other} and {action.id}.")
    return found


NAMES = {
    "colon": ":",
    "slash": "/",
    "question_mark": "?",
    "asterisk": "*",
    "comma": ",",
    "full_stop": ".",
    "minus": "-",
    "plus": "+",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "⇧tab",
}


def shown(key: str) -> str:
    """A key as people call it."""
    return NAMES.get(key, key.replace("ctrl+", "^"))


def first(action: Action) -> str:
    """The key the footer shows; a row of digits as a range."""
    keys = action.keys.split(",")
    if len(keys) > 3 and all(key.isdigit() for key in keys):
        return f"{keys[0]}-{keys[-1]}"
    return shown(keys[0])


def all_shown(action: Action) -> str:
    """Every key of an action, for the help."""
    keys = action.keys.split(",")
    return first(action) if len(keys) > 3 else " ".join(shown(key) for key in keys)
