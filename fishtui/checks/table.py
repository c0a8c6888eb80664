"""Every check there is: its code, how grave a finding is, what it means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Severity(IntEnum):
    """An error keeps a clip out of training, a warning wants a person to listen or look, info is worth knowing."""

    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of finding. `fix` says whether `fishtui clips fix CODE` can repair it; `of` is what it is found on."""

    code: str
    severity: Severity
    meaning: str
    remedy: str
    fix: bool = False
    of: str = "clip"


class Finding(NamedTuple):
    """What a check has found on one clip or speaker; `detail` is a short line that may hold text from files."""

    code: str
    detail: str

    @property
    def severity(self) -> Severity:
        return CHECKS[self.code].severity


_INFO, _WARNING, _ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR

CHECKS: dict[str, Check] = {
    check.code: check
    for check in (
        # The files of a clip.
        Check(
            "shared-stem",
            _ERROR,
            "several audio files share one name, and so one transcript and one file of codes",
            "Rename all but one.",
        ),
        Check(
            "missing-audio",
            _ERROR,
            "a transcript or codes without a recording",
            "Put the recording beside it, or remove it.",
        ),
        Check(
            "audio-gone",
            _INFO,
            "transcript and codes without a recording: it can be trained on, but not checked or encoded again",
            "Put the recording back if you still have it.",
        ),
        Check(
            "missing-transcript",
            _ERROR,
            "a recording without a transcript",
            "Write what is said into a .lab file of the same name.",
        ),
        Check("unreadable-transcript", _ERROR, "the transcript can't be read", "Check who may read the file."),
        Check("not-utf8", _ERROR, "the transcript is not UTF-8", "Save it as UTF-8."),
        Check(
            "empty-transcript",
            _ERROR,
            "the transcript is empty, or nothing is left of it without its {…}, <…> and emoji",
            "Write what is said, or remove the clip.",
        ),
        Check(
            "several-lines",
            _WARNING,
            "the transcript has several lines; all of them are trained on, as one",
            "Keep what is said, on one line.",
        ),
        Check(
            "byte-order-mark",
            _INFO,
            "the transcript begins with a byte-order mark, which other tools take for text",
            "Save it without one.",
            fix=True,
        ),
        Check("codes-invalid", _WARNING, "the codes are damaged or of another codec", "Run `fishtui extract`."),
        Check("codes-stale", _WARNING, "the codes were made from other audio", "Run `fishtui extract`."),
        Check("codes-missing", _INFO, "no codes were made yet", "Run `fishtui extract`."),
        # Audio by its header.
        Check(
            "foreign-format",
            _ERROR,
            "a kind of audio file that can't be read here",
            "Convert it to wav or flac.",
        ),
        Check(
            "unreadable",
            _ERROR,
            "the recording is damaged, cut short, or no audio",
            "Copy it again from where it came, or convert it to wav or flac.",
        ),
        Check("empty-audio", _ERROR, "there is no audio in the file", "Record it again or remove the clip."),
        Check(
            "wrong-extension",
            _WARNING,
            "the file is of another format than its name says",
            "Rename it to its true extension.",
            fix=True,
        ),
        Check("too-short", _WARNING, "too short to teach much", "Join it with its neighbours, or reject it."),
        Check("too-long", _WARNING, "so long that it costs memory and may be left out", "Split it at a pause."),
        Check(
            "low-sample-rate",
            _WARNING,
            "recorded at a low rate: the model will learn a muffled voice",
            "Take the original recording if it has a higher rate.",
        ),
        # Audio by its samples.
        Check("not-finite", _ERROR, "holds samples that are not finite numbers", "Export it again."),
        Check("silent", _ERROR, "there is nothing to hear", "Record it again or remove the clip."),
        Check(
            "clipped",
            _WARNING,
            "the waveform is cut off at full scale",
            "Listen to it; take a recording with less gain if you have one, or reject it.",
        ),
        Check(
            "loudness",
            _WARNING,
            "far from the target loudness",
            "Bring the dataset to one loudness with `fishtui normalize`.",
            fix=True,
        ),
        Check(
            "band-limited",
            _WARNING,
            "nothing above 8 kHz, though the sample rate has room for it: it comes from a worse recording",
            "Take the original recording if there is one.",
        ),
        Check(
            "stereo",
            _WARNING,
            "channels that differ; their mean is what is trained on",
            "Listen to both; keep one, or the mean.",
            fix=True,
        ),
        Check("dc-offset", _WARNING, "the waveform lies off the zero line", "High-pass it at 20 Hz."),
        Check(
            "silence-at-ends",
            _WARNING,
            "long silence before or after the speech",
            "Trim it.",
            fix=True,
        ),
        Check(
            "silence-inside",
            _WARNING,
            "a long pause inside the speech, or something missing",
            "Listen to it; split it there or shorten the pause.",
        ),
        Check("noisy", _WARNING, "much noise beside the speech", "Listen to it; denoise or reject it."),
        # Text.
        Check(
            "control-characters",
            _WARNING,
            "characters that are neither seen nor spoken",
            "Remove them.",
        ),
        Check(
            "bidi-override",
            _WARNING,
            "invisible characters that turn the reading order: what is trained on may differ from what is seen",
            "Remove them.",
        ),
        Check(
            "reserved-token",
            _WARNING,
            "looks like a token that only the model's templates may use; it is dropped",
            "Remove it.",
        ),
        Check(
            "altered-text",
            _WARNING,
            "{…}, <…> and emoji are dropped before training",
            "If it is spoken, write it out in words; else remove it.",
        ),
        Check(
            "simplified-text",
            _INFO,
            "curly single quotes and runs of commas are made plain before training",
            "Nothing has to be done.",
        ),
        Check("digits", _INFO, "digits, which can be read aloud in several ways", "Write them out as spoken."),
        Check("symbols", _INFO, "symbols, which can be read aloud in several ways", "Write them out as spoken."),
        # Beside other clips.
        Check(
            "foreign-script",
            _WARNING,
            "another script than the speaker's other transcripts",
            "Check that transcript and speaker are the right ones.",
        ),
        Check(
            "rate-outlier",
            _WARNING,
            "spoken far faster or slower than the speaker's other clips: transcript and audio may not belong together",
            "Listen to it and correct the transcript.",
        ),
        Check("duplicate-audio", _WARNING, "the same recording as another clip", "Keep one of them."),
        Check(
            "similar-transcript",
            _INFO,
            "nearly the same words as another clip of the speaker",
            "Check that both are meant to be there.",
        ),
        Check(
            "little-audio",
            _WARNING,
            "too little audio to learn a voice from",
            "Record more, or leave the speaker out.",
            of="speaker",
        ),
    )
}


def shortened(text: str, limit: int = 60) -> str:
    """`text`, with what goes beyond `limit` characters replaced by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
