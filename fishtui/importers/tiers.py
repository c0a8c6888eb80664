"""Annotations in tiers next to long recordings: TextGrid of Praat and the Montreal aligner, and ELAN's .eaf."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from fishtui.extras import require_extra
from fishtui.importers.timed import Caption, Captions, by_pauses, timed_layout
from fishtui.reading import RECORD, read_bounded

EXTRA = "importers"
# Tiers of parts of words, and those with one word in each interval.
SOUNDS = re.compile(r"phon|phn|segment|syll|tone|pitch|\bipa\b|breakind|\bpoints?\b|mora", re.IGNORECASE)
WORDS = re.compile(r"words?|tokens?|wrd|mots?|wörter", re.IGNORECASE)
SENTENCES = re.compile(r"sentences?|utterances?|utt|text|transcripts?|transcriptions?|ortho\w*|phrases?|ipus?", re.I)
GLOSSES = re.compile(r"gloss|translat|transl\b|\bft\b|\bpos\b|morph|comment|notes?\b|gesture|gaze", re.IGNORECASE)
# Marks of the aligner for silence and unknown words.
SILENCE = re.compile(r"|<?(?:sil|sp|spn|eps|unk|noise|p:|pau|xxx?|_|\#)>?|\(\.+\)|<p>", re.IGNORECASE)
LONGEST_PHRASE_S, PHRASE_PAUSE_S = 12.0, 0.3


def read_textgrid(path: Path) -> Captions:
    """Return the intervals of the tiers of speech. Raises MisuseError without praatio, OSError, errors of praatio."""
    require_extra(EXTRA, "praatio", path.name)
    from praatio import textgrid

    read_bounded(path, RECORD)
    grid = textgrid.openTextgrid(str(path.absolute()), False, "silence", "rename")
    tiers = {
        tier.name: [Caption(each.start, each.end, each.label) for each in tier.entries]
        for tier in grid.tiers
        if isinstance(tier, textgrid.IntervalTier)
    }
    return _of_tiers(tiers, {})


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
    for name, (aligned, _, attributes, _) in found.tiers.items():
        times = [(found.timeslots[first], found.timeslots[last], text) for first, last, text, _ in aligned.values()]
        # Annotations without times of their own divide one that has them.
        tiers[name] = [
            Caption(first / 1000, last / 1000, text) for first, last, text in times if None not in (first, last)
        ]
        people[name] = attributes.get("PARTICIPANT") or ""
    media = [each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL") or "" for each in found.media_descriptors]
    captions = _of_tiers(tiers, people)
    # Only the name: the folders are those of another computer.
    names = [PureWindowsPath(unquote(url.removeprefix("file:"))).name for url in media]
    found = [name for name in names if (path.parent / name).is_file()] if all(names) else []
    return replace(captions, audio=found[0]) if found else captions


def _of_tiers(tiers: Mapping[str, Sequence[Caption]], people: Mapping[str, str]) -> Captions:
    """Return the captions of the tiers of speech."""
    filled = {name: [each for each in own if not SILENCE.fullmatch(each.text.strip())] for name, own in tiers.items()}
    filled = {name: own for name, own in filled.items() if own and not SOUNDS.search(name)}
    words = {name: own for name, own in filled.items() if WORDS.search(name)}
    wholes = {name: own for name, own in filled.items() if name not in words and not GLOSSES.search(name)}
    named = {name: own for name, own in wholes.items() if SENTENCES.fullmatch(name.strip())}
    if len(named) == 1:
        wholes = named
    if wholes:
        return _captions(wholes, people, loose=False)
    phrases = {name: by_pauses(own, LONGEST_PHRASE_S, PHRASE_PAUSE_S) for name, own in words.items()}
    return _captions(phrases, people, loose=True)


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
