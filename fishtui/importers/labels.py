"""Labels in captions, such as `ANNA: Hello`, become the speakers of a recording.

Labels count if they recur. A caption without a label is left out, because nobody knows who speaks in it; unless the
labels show that they mark changes of the speaker. Then it continues, until a label, a dash or `>>`, or a long pause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fishtui.errors import MisuseError
from fishtui.importers.captions import (
    NOTES,
    PARENTHESES,
    SEVERAL,
    TURN,
    Caption,
    Captions,
    spoken_text,
    without_markup,
    without_notes,
)
from fishtui.speakerlabels import Labels, find_labels, is_person, is_spoken, split_label
from fishtui.wording import counted

# The column that `--column` names.
COLUMN = "label"
NO_LABEL = "it names no speaker, as others do"
UNSURE = "its label does not recur, so it may not be a speaker"
# A pause after which a caption without a label may be of another person, in seconds.
LONGEST_PAUSE_S = 10.0
# A name in capitals behind a sentence, which may be a label.
CAPITALS = re.compile(r"(?<=[.!?…\"”])\s+([^\W\d_][\w .'-]{1,30}):\s")
# Names that a summary shows.
MOST_SHOWN = 6


@dataclass(frozen=True, slots=True)
class _Turn:
    """A line of a caption without its mark of a turn, if it `is_marked`; a name that may be its label, and the rest."""

    is_marked: bool
    line: str
    label: str
    rest: str

    def text(self, labels: Labels) -> str:
        """Return the line without its label."""
        return self.rest if labels.name(self.label) else self.line


def labels_are(columns: Mapping[str, str]) -> str:
    """Return what the user takes labels for, `speaker` or `text`, empty if that is to be found out.

    Raises MisuseError if captions have no such column.
    """
    for meaning, column in columns.items():
        if column.strip().lower() != COLUMN or meaning not in ("speaker", "text"):
            raise MisuseError(
                f"--column {column}={meaning}: captions have no such column",
                f"Use --column {COLUMN}=speaker or --column {COLUMN}=text, or remove it.",
                code="no-column",
            )
    # Labels that are both are not spoken.
    return "speaker" if "speaker" in columns else next(iter(columns), "")


def name_speakers(found: Captions, labels_are: str = "") -> tuple[Captions, Labels]:
    """Return the captions of a recording in the order of their times, with the speakers that labels name, and these.

    `labels_are` "speaker" takes all labels for speakers, also those that do not recur, and "text" none. If the format
    itself names speakers, these count, and captions without one are left out if there are several.
    """
    if labels_are == "text":
        return replace(found, keeps_labels=True), Labels()
    if speakers := {caption.speaker for caption in found.captions} - {""}:
        return (_without_unnamed(found) if len(speakers) > 1 else found), Labels()
    # Captions without times come last.
    ordered = sorted(found.captions, key=lambda each: (each.start != each.start, each.start, each.end))
    turns = [[] if _is_note(each) else _turns(each.text) for each in ordered]
    names = [turn.label for own in turns for turn in own if turn.label]
    least = {"least": 1} if labels_are else {}
    labels = find_labels(names, sum(map(bool, turns)), **least)
    if not labels.names:
        return found, labels
    return replace(found, captions=list(_named(ordered, turns, labels))), labels


def _without_unnamed(found: Captions) -> Captions:
    captions = [each if each.speaker else replace(each, lacks_speaker=NO_LABEL) for each in found.captions]
    return replace(found, captions=captions)


def describe_labels(labels: Sequence[Labels], left_out: int) -> tuple[str, list[str]]:
    """Return a line on the labels of recordings, and a sentence if they are not certain."""
    counts: dict[str, int] = {}
    for each in labels:
        for name, count in each.counts.items():
            counts[name] = counts.get(name, 0) + count
    names = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(names[:MOST_SHOWN]) + (
        f", and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
    )
    line = f"labels of captions: {shown}"
    if any(each.at_changes for each in labels):
        line += "; a caption without one continues"
    if all(each.is_certain for each in labels):
        return line, []
    without = f", and {counted(left_out, 'caption')} without one are left out" if left_out else ""
    return line, [
        f"the labels {shown} are taken for speakers{without}; --column {COLUMN}=speaker confirms that,"
        f" --column {COLUMN}=text keeps them as spoken text"
    ]


def _named(captions: Sequence[Caption], turns: Sequence[Sequence[_Turn]], labels: Labels) -> Iterator[Caption]:
    """Yield the captions with their speakers; others with the reason why they have none."""
    inner = _inner_turn(labels)
    # Who speaks, None if that is not known; True if the last caption was only a label.
    current: str | None = None
    is_announced = False
    reached = 0.0
    for caption, own in zip(captions, turns, strict=True):
        if not own:
            yield caption
            continue
        if caption.start - reached > LONGEST_PAUSE_S:
            current, is_announced = None, False
        reached = max(caption.end, reached)
        speakers = list(_speakers(own, labels, inner))
        if speakers[0] == "" and current and (is_announced or labels.at_changes):
            speakers[0] = current
        texts = [turn.text(labels) for turn in own]
        is_announced = not any(map(str.isalnum, "".join(texts)))
        if speakers[-1] != "":
            current = speakers[-1]
        elif not labels.at_changes:
            current = None
        if caption.omitted:
            yield caption
        elif is_announced:
            yield replace(caption, omitted="only a label")
        elif len(speakers) > 1 and (speakers[0] is None or set(speakers) != {speakers[0]}):
            yield replace(caption, omitted=SEVERAL)
        elif not (name := speakers[0]):
            yield replace(caption, lacks_speaker=_why(own[0], labels))
        elif not is_person(name):
            yield replace(caption, omitted=SEVERAL)
        else:
            yield replace(caption, text="\n".join(texts), speaker=name)


def _why(turn: _Turn, labels: Labels) -> str:
    """Return why it is not known who speaks in a line."""
    is_unsure = turn.label and not labels.name(turn.label) and not is_spoken(turn.label)
    return UNSURE if is_unsure else NO_LABEL


def _speakers(turns: Sequence[_Turn], labels: Labels, inner: re.Pattern[str]) -> Iterator[str | None]:
    """Yield who speaks in each line of a caption: a name, None if that is not known, "" if the one before continues."""
    for number, turn in enumerate(turns):
        name = labels.name(turn.label)
        # One that does not recur may be that of another person.
        is_change = turn.is_marked or (turn.label and not is_spoken(turn.label))
        if name or is_change:
            yield name or None
        elif number == 0:
            yield ""
        text = turn.text(labels)
        if inner.search(text) or any(name.isupper() for name in CAPITALS.findall(text)):
            yield None


def _inner_turn(labels: Labels) -> re.Pattern[str]:
    """Return the pattern of a turn within a line, after other words."""
    names = "|".join(re.escape(name) for name in sorted(labels.names.values(), key=len, reverse=True))
    return re.compile(rf"(?<=\S)\s*(?:>>|(?<!\w)[\[(]?(?:{names})\s*[\])]?\s*(?::(?=\s|$)|：))", re.IGNORECASE)


def _turns(text: str) -> list[_Turn]:
    """Return the lines of a caption that have a label or words."""
    turns = []
    for line in without_markup(text).splitlines():
        mark = TURN.match(line)
        bare = (line[mark.end() :] if mark else line).strip()
        label, rest = split_label(bare)
        if not label:
            # A note before the label.
            note = NOTES.match(bare) or PARENTHESES.match(bare)
            label, rest = split_label(bare[note.end() :]) if note else ("", bare)
            rest = rest if label else bare
        if label or without_notes(bare):
            turns.append(_Turn(mark is not None, bare, label, rest.strip()))
    return turns


def _is_note(caption: Caption) -> bool:
    """Return True if a caption has no words."""
    return spoken_text(caption.text)[1] not in ("", SEVERAL)
