"""Annotations in tiers next to long recordings: TextGrid of Praat and the Montreal aligner, and ELAN's .eaf."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from fishtui.extras import require_extra
from fishtui.importers.captions import Caption, Captions
from fishtui.importers.textgrid import read_tiers
from fishtui.importers.timed import by_pauses, read_whole, timed_layout
from fishtui.reading import RECORD, read_bounded

EXTRA = "importers"
# Names of tiers of parts of words, of those with one word in each interval, of sentences, and of remarks on them. Only
# whole words of a name count: people are called Stone, Alphonse or Timothy.
SOUNDS = re.compile(
    r"phon(?:e|es|eme|emes|emic|etic|etics|o)?|phn|segments?|syll(?:able|ables|s)?|tones?|pitch|ipa|breakinde?x|points?"
    r"|moras?|morae"
)
WORDS = re.compile(r"words?|tokens?|wrd|mots?|wörter")
SENTENCES = re.compile(r"sentences?|utterances?|utt|text|transcripts?|transcriptions?|ortho\w*|phrases?|ipus?", re.I)
GLOSSES = re.compile(r"gloss(?:es)?|transl(?:at\w*)?|ft|pos|morph\w*|comments?|notes?|gestures?|gaze")
NAME_PART = re.compile(r"[^\W\d_]+")
# Marks of the aligner for silence and unknown words.
SILENCE = re.compile(r"|<?(?:sil|sp|spn|eps|unk|noise|p:|pau|xxx?|_|\#)>?|\(\.+\)|<p>", re.IGNORECASE)
LONGEST_PHRASE_S, PHRASE_PAUSE_S = 12.0, 0.3


def read_textgrid(path: Path) -> Captions:
    """Return the intervals of the tiers of speech. Raises DataError, OSError, ValueError for a damaged file."""
    return _of_tiers(read_tiers(read_whole(path)), {})


def read_elan(path: Path) -> Captions:
    """Return the annotations of the tiers with times. Raises MisuseError without pympi, OSError, errors of pympi."""
    require_extra(EXTRA, "pympi", path.name)
    import pympi

    read_bounded(path, RECORD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pympi.Elan.Eaf(str(path.absolute()), suppress_version_warning=True)
    tiers: dict[str, list[Caption]] = {}
    people: dict[str, str] = {}
    divided = []
    for name, (aligned, references, attributes, _) in found.tiers.items():
        times = [(found.timeslots[first], found.timeslots[last], text) for first, last, text, _ in aligned.values()]
        tiers[name] = [Caption(_in_seconds(first), _in_seconds(last), text) for first, last, text in times]
        people[name] = attributes.get("PARTICIPANT") or ""
        if references and not any(_is_called(name, kind) for kind in (SOUNDS, WORDS, GLOSSES)):
            divided.append(name)
    captions = _of_tiers(tiers, people)
    if divided:
        names = ", ".join(divided[:5])
        doubt = f"the text of the tiers {names} is not read, because they have no times of their own"
        captions = replace(captions, doubts=(*captions.doubts, doubt))
    # Only the name: the folders are those of another computer.
    media = [each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL") or "" for each in found.media_descriptors]
    names_of_media = [PureWindowsPath(unquote(url.removeprefix("file:"))).name for url in media]
    audio = next((name for name in names_of_media if name and (path.parent / name).is_file()), "")
    return replace(captions, audio=audio)


def _in_seconds(milliseconds: int | None) -> float:
    """Return a time of ELAN, NaN for an annotation that only divides another one."""
    return math.nan if milliseconds is None else milliseconds / 1000


def _of_tiers(tiers: Mapping[str, Sequence[Caption]], people: Mapping[str, str]) -> Captions:
    """Return the captions of the tiers of speech."""
    filled = {name: [each for each in own if not SILENCE.fullmatch(each.text.strip())] for name, own in tiers.items()}
    filled = {name: own for name, own in filled.items() if own and not _is_called(name, SOUNDS)}
    words = {name: own for name, own in filled.items() if _is_called(name, WORDS)}
    wholes = {name: own for name, own in filled.items() if name not in words and not _is_called(name, GLOSSES)}
    named = {name: own for name, own in wholes.items() if SENTENCES.fullmatch(name.strip())}
    if len(named) == 1:
        wholes = named
    if wholes:
        return _captions(wholes, people, loose=False)
    phrases = {name: by_pauses(own, LONGEST_PHRASE_S, PHRASE_PAUSE_S) for name, own in words.items()}
    return _captions(phrases, people, loose=True)


def _is_called(tier: str, kind: re.Pattern[str]) -> bool:
    """Return True if a word of a tier's name is one of a kind; `ToneTier` has two words."""
    words = NAME_PART.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tier))
    return any(kind.fullmatch(word.lower()) for word in words)


def _captions(tiers: Mapping[str, Sequence[Caption]], people: Mapping[str, str], loose: bool) -> Captions:
    """Return the captions of tiers; with several of them, each is a speaker."""
    if len(tiers) == 1:
        (name, own), *_ = tiers.items()
        return Captions([replace(each, speaker=people.get(name, "")) for each in own], loose=loose)
    doubts: tuple[str, ...] = ()
    if len(tiers) > 1 and not all(people.get(name) for name in tiers):
        doubts = (f"the tiers {', '.join(list(tiers)[:5])} are taken for speakers; --speaker joins them",)
    return Captions(
        [replace(each, speaker=people.get(name) or _person(name)) for name, own in tiers.items() for each in own],
        loose=loose,
        doubts=doubts,
    )


def _person(tier: str) -> str:
    """Return the name of a speaker from that of a tier such as `anna - words`."""
    return re.sub(r"\s*[-_@]\s*(?:words?|utterances?|text)$", "", tier, flags=re.IGNORECASE).strip() or tier


TEXTGRID = timed_layout("textgrid", "TextGrid of Praat next to long recordings", (".textgrid",), read_textgrid)
ELAN = timed_layout("elan", "ELAN annotations (.eaf) next to long recordings", (".eaf",), read_elan)
