"""The sections of recognizers and judges of speech."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from fishtui.settings.values import Device, NotNegative, Positive, Section


class TranscribeSettings(Section, frozen=True):
    """Recognition of speech, for drafts of transcripts and for comparison with transcripts."""

    recognizer: Annotated[
        Literal["faster-whisper", "pocketsphinx", "server"],
        Meta(description="recognizer: faster-whisper, pocketsphinx (English), or the server of transcribe.url"),
    ] = "faster-whisper"
    model: Annotated[
        str,
        Meta(
            description="size of Whisper, folder, or repository of the hub (empty: small); for a server its name of the"
            " model (empty: whisper-1)",
            extra={"metavar": "MODEL"},
        ),
    ] = ""
    url: Annotated[
        str,
        Meta(
            # Without a place for a password: the key comes from the environment.
            pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
            description="address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; its key comes from"
            " the environment variable TRANSCRIBE_API_KEY",
            extra={"metavar": "URL"},
        ),
    ] = ""
    language: Annotated[
        str,
        Meta(
            pattern=r"^([a-z]{2,3})?$",
            description="language of the speech, such as en; empty lets the recognizer find it for each clip",
            extra={"metavar": "CODE"},
        ),
    ] = ""
    timeout: Annotated[Positive, Meta(description="longest wait for an answer of the server in seconds")] = 120.0
    requests: Annotated[int, Meta(ge=1, le=32, description="most clips that the server gets at once")] = 4
    device: Device = "auto"


class EvaluateSettings(Section, frozen=True):
    """Evaluation of the checkpoints of a training."""

    lines: Annotated[
        NotNegative, Meta(description="most transcripts of held-out clips that each checkpoint speaks")
    ] = 12
    hard_lines: Annotated[
        bool, Meta(description="also speak lines that are hard in the dataset's language: numbers, names, a paragraph")
    ] = True
    language: Annotated[
        str,
        Meta(
            pattern=r"^([a-z]{2,3})?$",
            description="language of the dataset, such as en; empty guesses each speaker's from the transcripts",
            extra={"metavar": "CODE"},
        ),
    ] = ""
    judges: Annotated[
        tuple[Literal["failures", "intelligibility", "similarity", "voice", "quality"], ...],
        Meta(description="judges of the speech: failures, intelligibility, similarity, voice, quality"),
    ] = ("failures", "intelligibility", "similarity", "voice", "quality")
    recognizer: Annotated[
        str,
        Meta(
            pattern=r"^(faster-whisper(:.+)?|pocketsphinx|ctc:.+)$",
            description="recognizer of words: faster-whisper:MODEL with a size, folder or repository of the hub,"
            " pocketsphinx (English), or ctc:FILE",
            extra={"metavar": "RECOGNIZER[:MODEL]"},
        ),
    ] = "faster-whisper:small"
    similarity: Annotated[
        str,
        Meta(
            pattern=r"^(resemblyzer|wavlm(:.+)?)$",
            description="speaker embeddings: resemblyzer, or wavlm:MODEL with a folder or repository of the hub",
            extra={"metavar": "ENCODER[:MODEL]"},
        ),
    ] = "resemblyzer"
    device: Device = "auto"
