"""The judges of an evaluation: which are ready, and what they find in the speech of each speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fishtui.audio.decode import read_audio
from fishtui.dataset import clip_named, is_inside
from fishtui.errors import DataError, FishtuiError
from fishtui.evaluation.record import JudgeState, MissingJudge, Outcome
from fishtui.judges.needs import Setup
from fishtui.judges.registry import assess, available, cache_key
from fishtui.judges.spoken import MOST_CLIPS, Spoken, Voice
from fishtui.runs.reporter import Reporter
from fishtui.shards.packed import ManifestEntry


@dataclass
class Panel:
    """The judges of the settings: `states` of those that are ready, `missing` the others and why."""

    setup: Setup
    reporter: Reporter
    states: dict[str, JudgeState] = field(default_factory=dict)
    missing: dict[str, MissingJudge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find out which judges are ready, and report the others. Raises MisuseError for an unknown judge."""
        for found in available(self.setup):
            if found.is_ready:
                self.states[found.name] = JudgeState(found.version, cache_key(found.name, self.setup))
            else:
                self._miss(found.name, found.problem, found.remedy)

    def judge(self, names: Collection[str], spoken: Spoken, speaker: Voice) -> dict[str, Outcome]:
        """Return the outcomes of these judges by name; one that cannot work is reported, and missing from then on."""
        found = {}
        for name in names:
            if name not in self.states:
                continue
            try:
                judgement = assess(name, spoken, speaker, self.setup)
            except FishtuiError as error:
                del self.states[name]
                self._miss(name, error.problem, error.remedy)
                continue
            state = self.states[name]
            found[name] = Outcome(
                version=state.version,
                key=state.key,
                figures=dict(judgement.figures),
                failures=tuple((failure.code, failure.detail) for failure in judgement.failures),
                heard=judgement.heard,
            )
        return found

    def _miss(self, name: str, problem: str, remedy: str) -> None:
        self.missing[name] = MissingJudge(problem, remedy)
        self.reporter.warning(f"{problem}. {remedy}", f"judge {name}")


class RealSpeakers:
    """The speakers of a dataset as their own clips show them; each is read when it is first asked for."""

    def __init__(
        self, entries: Sequence[ManifestEntry], data: Path, text_extension: str, languages: dict[str, str]
    ) -> None:
        self._data, self._extension, self._languages = data, text_extension, languages
        self._entries: dict[str, list[ManifestEntry]] = defaultdict(list)
        for entry in entries:
            if is_inside(entry["clip"]):
                self._entries[entry["speaker"]].append(entry)
        self._known: dict[str, Voice] = {}

    def find(self, speaker: str) -> Voice:
        """Return what is known of a speaker; nothing for one without readable clips."""
        if speaker not in self._known:
            own = self._entries[speaker]
            count = min(len(own), MOST_CLIPS)
            chosen = [own[index * len(own) // count] for index in range(count)]
            clips = [clip for clip in (self._read(entry) for entry in chosen) if clip is not None]
            self._known[speaker] = Voice(clips)
        return self._known[speaker]

    def _read(self, entry: ManifestEntry) -> Spoken | None:
        try:
            audio = read_audio(clip_named(self._data, entry["clip"], self._extension).single_audio(), mixed=True)
            return Spoken(audio.mono(), audio.rate, entry["text"], self._languages.get(entry["speaker"], ""))
        except (DataError, OSError):
            # Training only needs the shards; a recording that was moved away or damaged since is left out.
            return None
