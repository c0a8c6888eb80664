"""Labels of speakers at the beginning of texts: `ANNA: Hello`, `[Speaker 1]: Hello`, `>> JOHN: Hello`.

One text does not show that its beginning is a label: `She asked: why` and `Note: why` have a colon too. Names that
recur at the beginning of texts do. So labels are found in all texts of a recording or of a speaker together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# A name, perhaps in brackets, perhaps with a remark in parentheses, and a colon before a blank or the end. The colon of
# East Asian scripts needs no blank.
LABEL = re.compile(
    r"\s*[\[(【［（]?\s*(?P<name>[^\W_](?:[^:：\n\t\[\]()【】［］（）<>\"“”„«»!?,;…|\\=*%$€@]{0,38}[^\W_]|[^\W_]|)\.?)\s*"
    r"(?:\([^():\n]{0,30}\)\s*)?[\])】］）]?\s*(?::(?=\s|$)|：)\s*"
)
# Numbers that programs give to speakers of one recording.
NUMBERED = re.compile(
    r"(?:unknown )?(?:speaker|spk|spkr|talker|participant|sprecher(?:in)?|locuteur|orateur|hablante|locutor|orador"
    r"|relatore|spreker|спикер|говорящий|说话人|發言人|发言人|講者|話者|화자|참석자)[\s_#-]*(?:\d{1,3}|[A-Z])",
    re.IGNORECASE,
)
# Those in square brackets are labels without a colon too.
BRACKETED = re.compile(rf"\s*[\[【［]\s*(?P<name>{NUMBERED.pattern})\s*[\]】］]\s*[:：]?\s*", re.IGNORECASE)
# Labels of nobody in particular, whose clips would mix voices.
NOBODY = re.compile(
    r"(?:unknown|unidentified|unbekannte?r?|inconnue?|desconocid[oa]|all|both|everyone|crowd|audience|together|several"
    r"|multiple|various|others?|alle|beide|tous|todos|tutti)(?: (?:speakers?|voices?|people|sprecher|voix|voces))?",
    re.IGNORECASE,
)
# Between the names of two people.
TOGETHER = re.compile(r"\s*[&+/]\s*|\s(?:and|und|et)\s", re.IGNORECASE)
# Words before a colon that are spoken, in most texts.
_SPOKEN = """
answer attention caution chapter conclusion definition editor example exercise fact hint important introduction lesson
note part ps question quote remark reminder result rule spoiler step summary task theorem tip title translation verse
warning antwort achtung aufgabe beispiel fazit frage hinweis kapitel merke regel schritt tipp titel warnung zitat
chapitre exemple remarque réponse titre ejemplo nota pregunta respuesta capítulo
"""
SPOKEN = frozenset(_SPOKEN.split())
_PARTICLES = "von van der den de del della di da la le du des of the zu zur al el bin ibn and und et y"
PARTICLES = frozenset(_PARTICLES.split())
MOST_WORDS = 5
# Words with a dot that are part of a name; others end a sentence.
ABBREVIATION = re.compile(r"(?:[^\W\d_]|dr|mrs?|ms|prof|st|jr|sr|fr|hr|sra|mme|mlle|lt|sgt|capt|col|gen|rev)\.", re.I)
# A label recurs in this many texts, and labels are in this share of the texts, at least.
LEAST_TEXTS, LEAST_SHARE = 2, 0.1
# From this share and number of texts on, labels are certain.
CERTAIN_SHARE, CERTAIN_TEXTS = 0.5, 4
# If labels did not depend on the ones before, this many would repeat the one before. If hardly any does, a label shows
# that the speaker changes, and texts without one continue.
LEAST_REPEATS, MOST_REPEATED = 5.0, 0.15


@dataclass(frozen=True)
class Labels:
    """The labels of some texts: their spelling by `key`, and the number of texts that begin with each spelling.

    They are not `certain` if they may be spoken words. With `at_changes`, a label shows that the speaker changes, and a
    text without one continues.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    is_certain: bool = True
    at_changes: bool = False

    def name(self, label: str) -> str:
        """Return the spelling of a label, empty if it is not one of these."""
        return self.names.get(key(label), "") if label else ""


def split_label(text: str) -> tuple[str, str]:
    """Return the name that may be a label at the beginning of a text, empty without one, and the rest of the text."""
    found = BRACKETED.match(text) or LABEL.match(text)
    if found is None or not _is_name(found["name"]):
        return "", text
    return " ".join(found["name"].split()), text[found.end() :]


def key(label: str) -> str:
    """Return the same key for all spellings of a label: ANNA and Anna, SPEAKER_01 and Speaker 1."""
    folded = re.sub(r"[\s_#-]+", " ", label).casefold().strip(" .")
    return re.sub(r"\b0+(?=\d)", "", folded)


def is_person(label: str) -> bool:
    """Return True if a label names one person, and not several or an unknown one."""
    return NOBODY.fullmatch(label) is None and TOGETHER.search(label) is None


def is_spoken(label: str) -> bool:
    """Return True if a label is usually a word and not a speaker, as in `Note: come` or `so: come`."""
    return key(label).split()[0] in SPOKEN or label.islower()


def is_numbered(label: str) -> bool:
    """Return True if a label is a number that a program gave to a speaker, which names another one elsewhere."""
    return NUMBERED.fullmatch(label) is not None


def find_labels(names: Sequence[str], texts: int, least: int = LEAST_TEXTS) -> Labels:
    """Return the labels among `names`, which `split_label` found, in order, at the beginning of some of the `texts`.

    A label occurs `least` times or more. Without labels, the result is empty.
    """
    counts = Counter(key(name) for name in names)
    spellings: dict[str, Counter[str]] = {}
    for name in names:
        spellings.setdefault(key(name), Counter())[name] += 1
    recurring = {
        each: count
        for each, count in counts.items()
        if count >= least and (least < LEAST_TEXTS or each.split()[0] not in SPOKEN)
    }
    labelled = sum(recurring.values())
    at_changes = _are_at_changes([each for name in names if (each := key(name)) in recurring])
    if not labelled or (labelled < LEAST_SHARE * texts and not at_changes):
        return Labels()
    spelled = {each: spellings[each].most_common(1)[0][0] for each in recurring}
    is_certain = (
        all(is_numbered(name) for name in spelled.values())
        or at_changes
        or (labelled >= CERTAIN_TEXTS and labelled >= CERTAIN_SHARE * texts)
    )
    return Labels(spelled, {spelled[each]: count for each, count in recurring.items()}, is_certain, at_changes)


def _are_at_changes(labels: Sequence[str]) -> bool:
    counts = Counter(labels)
    expected = sum(count * (count - 1) for count in counts.values()) / max(len(labels), 1)
    repeated = sum(before == after for before, after in pairwise(labels))
    return expected >= LEAST_REPEATS and repeated <= MOST_REPEATED * expected


def _is_name(name: str) -> bool:
    """Return True if a text is written as a name: a few words with capitals, or of a script without them."""
    words = name.split()
    if not 0 < len(words) <= MOST_WORDS or not any(map(str.isalpha, name)):
        return False
    if any(word.endswith(".") and not ABBREVIATION.fullmatch(word) for word in words):
        return False
    if len(words) == 1 or is_numbered(name):
        return True
    return not words[0][0].islower() and all(not word[0].islower() or word in PARTICLES for word in words)
