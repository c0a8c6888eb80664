"""The judge of intelligibility: the words that a recognizer hears against the text."""

from __future__ import annotations

from fishtui.errors import loading
from fishtui.judges import recognizers
from fishtui.judges.needs import Needs, Package, Setup
from fishtui.judges.normalization import is_unspaced, normalized, units
from fishtui.judges.registry import Failure, Figure, Judgement, judge
from fishtui.judges.spoken import MOST_S, Spoken, Voice

# A rate above 100 % would make one bad line count more than several.
MOST = 100.0
# Fewer words, or characters without spaces, at the end are within a recognizer's errors.
LEAST_WORDS, LEAST_CHARACTERS = 3, 8
# A recognizer that heard less than this share of the text right does not locate its end either.
TRUSTED = 0.5

FIGURES = (
    Figure("word_errors", "%", "lower", "wrong, missing and added words, relative to the words of the text"),
    Figure("character_errors", "%", "lower", "wrong, missing and added characters, relative to those of the text"),
)
FAILURES = {
    "stopped-early": "The speech is much too short for its text.",
    "speech-after-text": "After the text and a pause, more speech follows.",
}


def _needs(setup: Setup) -> Needs:
    found = recognizers.needs(setup)
    return Needs((*found.packages, Package("jiwer", "jiwer")), found.weights, found.source)


@judge(
    "intelligibility",
    "1",
    "errors of the words that a recognizer hears",
    figures=FIGURES,
    failures=FAILURES,
    needs=_needs,
    options=("recognizer",),
    code=("judges/normalization.py", "judges/hearing.py", "judges/recognizers.py", "judges/ctc.py"),
)
def intelligibility(spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Compare the recognized words with the text; nothing if the recognizer does not know the language.

    Languages without spaces between words have no word errors. Raises FishtuiError for damaged weights.
    """
    recognizer = recognizers.load(setup, spoken.language)
    if recognizer is None:
        return Judgement()
    heard = recognizer.hear(spoken.samples[: round(MOST_S * spoken.rate)], spoken.rate).text
    return compared(spoken.text, heard, spoken.language)


def compared(text: str, heard: str, language: str) -> Judgement:
    """Return the error rates of what was `heard` against a text; nothing for a text without letters and digits."""
    with loading("jiwer"):
        import jiwer
    # Text without a language counts as English if a recognizer heard any, because only numbers differ.
    expected, found = normalized(text, language), normalized(heard, language)
    if not expected:
        return Judgement(heard=heard)
    characters = jiwer.process_characters(expected.replace(" ", ""), found.replace(" ", ""))
    figures = {"character_errors": min(MOST, 100 * characters.cer)}
    total = len(units(expected, language))
    if is_unspaced(expected, language):
        return Judgement(figures, _at_the_end(characters, total, LEAST_CHARACTERS), heard)
    words = jiwer.process_words(expected, found)
    figures["word_errors"] = min(MOST, 100 * words.wer)
    return Judgement(figures, _at_the_end(words, total, LEAST_WORDS), heard)


def _at_the_end(aligned, total: int, least: int) -> tuple[Failure, ...]:
    """Return the failure that the last part of an alignment shows, if most of the text was heard right."""
    last = aligned.alignments[0][-1]
    missing, added = last.ref_end_idx - last.ref_start_idx, last.hyp_end_idx - last.hyp_start_idx
    if last.type == "delete" and missing >= least and aligned.hits >= max(1, TRUSTED * (total - missing)):
        return (Failure("stopped-early", f"the last {missing} of {total} words are missing"),)
    if last.type == "insert" and added >= least and aligned.hits >= TRUSTED * total:
        return (Failure("speech-after-text", f"{added} words after the text"),)
    return ()
