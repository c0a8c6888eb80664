"""The check for labels of speakers at the beginning of transcripts, and their removal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fishtui.checks.facts import Contents, GroupFacts
from fishtui.checks.registry import WARNING, check
from fishtui.dataset import Clip
from fishtui.errors import DataError
from fishtui.settings import CheckSettings, Settings
from fishtui.speakerlabels import find_labels, is_numbered, key, split_label
from fishtui.wording import shortened


def remove_label(clip: Clip, settings: Settings) -> Contents:
    """Remove the label at the beginning. Raises DataError if no words are left, or another label follows."""
    text = clip.read_transcript()
    label, rest = split_label(text)
    if not label:
        return {}
    if not any(map(str.isalnum, rest)):
        raise DataError(
            f"{clip.transcript.name}: no words would be left",
            "Write the spoken words, or reject the clip: `fishtui clips reject`.",
            code="no-words-left",
        )
    if any(split_label(line)[0] for line in rest.splitlines()):
        raise DataError(
            f"{clip.transcript.name}: several speakers are named in it",
            "Split or reject the clip, or keep only the spoken words.",
            code="several-speakers",
        )
    return {clip.transcript: rest.encode()}


@check(
    "speaker-label",
    WARNING,
    "The transcript begins with the name of a speaker, as in `ANNA: Hello`, and the voice learns to speak it.",
    "Remove it, unless it is spoken.",
    scope="group",
    fix=remove_label,
)
def speaker_labels(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find transcripts with a label: a name in capitals, the speaker's own, a number, or one that recurs."""
    found: dict[int, str] = {}
    own: dict[str, list[tuple[int, str]]] = defaultdict(list)
    texts: dict[str, int] = defaultdict(int)
    for clip in clips:
        texts[clip.speaker] += 1
        label, rest = split_label(clip.text or "")
        if not label or not rest:
            continue
        own[clip.speaker].append((clip.id, label))
        in_capitals = len(label) > 1 and label.isupper() and not rest.isupper()
        if in_capitals or is_numbered(label) or key(label) == key(clip.speaker):
            found[clip.id] = shortened(label, 30)
    for speaker, named in own.items():
        labels = find_labels([label for _, label in named], texts[speaker])
        found |= {clip: shortened(label, 30) for clip, label in named if labels.name(label)}
    return found
