"""A small source of each format that names parts of recordings, or holds recordings."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Pieces = Sequence[tuple[float, float, str]]
"""Start and end in seconds, and text."""
Content = Callable[[str, Pieces], bytes]


@dataclass(frozen=True)
class Format:
    """The content of a file, given the path of a recording and its parts; the others of its folder, by name.

    A format that `is_folder` is imported as one.
    """

    file: str
    content: Content
    others: Mapping[str, Content] = field(default_factory=dict)
    is_folder: bool = False

    def write(self, folder: Path, recording: str, pieces: Pieces) -> Path:
        """Write the files into a folder; return the one with the content."""
        for name, content in ({self.file: self.content} | dict(self.others)).items():
            (folder / name).write_bytes(content(recording, pieces))
        return folder / self.file

    def source(self, path: Path) -> Path:
        """Return what is imported, given the file that `write` returned."""
        return path.parent if self.is_folder else path


def clock(seconds: float, mark: str = ",") -> str:
    """Return a time as subtitles have it."""
    return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}".replace(".", mark)


def srt(recording: str, pieces: Pieces) -> bytes:
    """Return subtitles with markup and a note on music."""
    cues = [f"{clock(start)} --> {clock(end)}\n<i>{text}</i>\n" for start, end, text in pieces]
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(cues, 1)).encode()


def vtt(recording: str, pieces: Pieces) -> bytes:
    """Return subtitles of the web, with voices."""
    cues = [f"{clock(start, '.')} --> {clock(end, '.')}\n<v anna>{text}\n" for start, end, text in pieces]
    return "\n".join(["WEBVTT\n", *cues]).encode()


def ass(recording: str, pieces: Pieces) -> bytes:
    """Return SubStation subtitles."""
    columns = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
    head = f"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: {columns}\n"
    lines = [
        f"Dialogue: 0,{clock(start, '.')[1:-1]},{clock(end, '.')[1:-1]},Default,anna,0,0,0,,{{\\i1}}{text}"
        for start, end, text in pieces
    ]
    return (head + "\n".join(lines) + "\n").encode()


def whisper(recording: str, pieces: Pieces) -> bytes:
    """Return a result of Whisper."""
    segments = [{"start": start, "end": end, "text": f" {text}"} for start, end, text in pieces]
    return json.dumps({"segments": segments, "language": "en"}).encode()


def whisperx(recording: str, pieces: Pieces) -> bytes:
    """Return a result of WhisperX, with times of words and speakers."""
    segments = [
        {
            "start": start,
            "end": end,
            "text": text,
            "speaker": "SPEAKER_00",
            "words": [{"word": text, "start": start, "end": end, "score": 0.9, "speaker": "SPEAKER_00"}],
        }
        for start, end, text in pieces
    ]
    return json.dumps({"segments": segments, "word_segments": []}).encode()


def audacity(recording: str, pieces: Pieces) -> bytes:
    """Return labels with decimal commas and rows of frequencies."""
    rows = [f"{start:.6f}\t{end:.6f}\t{text}\n\\\t100,0\t200,0\n".replace(".", ",", 2) for start, end, text in pieces]
    return "".join(rows).encode()


def textgrid(recording: str, pieces: Pieces) -> bytes:
    """Return the short form of intervals of Praat."""
    intervals = "".join(f'{start}\n{end}\n"{text}"\n' for start, end, text in pieces)
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    end = max(end for _, end, _ in pieces)
    return f'{head}0\n{end}\n<exists>\n1\n"IntervalTier"\n"anna"\n0\n{end}\n{len(pieces)}\n{intervals}'.encode()


def elan(recording: str, pieces: Pieces) -> bytes:
    """Return annotations of ELAN."""
    slots, spoken = [], []
    for number, (start, end, text) in enumerate(pieces):
        for index, time in enumerate((start, end)):
            slots.append(f'<TIME_SLOT TIME_SLOT_ID="ts{2 * number + index}" TIME_VALUE="{round(1000 * time)}"/>')
        spoken.append(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="ts{2 * number}"'
            f' TIME_SLOT_REF2="ts{2 * number + 1}"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
            "</ANNOTATION>"
        )
    return (
        '<?xml version="1.0"?><ANNOTATION_DOCUMENT VERSION="3.0"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x">'
        f'<HEADER><MEDIA_DESCRIPTOR MEDIA_URL="file:///{recording}"/></HEADER><TIME_ORDER>{"".join(slots)}</TIME_ORDER>'
        f'<TIER TIER_ID="a">{"".join(spoken)}</TIER></ANNOTATION_DOCUMENT>'
    ).encode()


def lhotse(recording: str, pieces: Pieces) -> bytes:
    """Return cuts of Lhotse; a recording that ends with a bar is a command."""
    source = {"type": "command" if recording.endswith("|") else "file", "channels": [0], "source": recording}
    rows = [
        {
            "start": start,
            "supervisions": [{"start": 0, "duration": end - start, "text": text, "speaker": "anna"}],
            "recording": {"sources": [source]},
        }
        for start, end, text in pieces
    ]
    return lines(rows)


def nemo(recording: str, pieces: Pieces) -> bytes:
    """Return a manifest of NeMo."""
    return lines(
        [
            {"audio_filepath": recording, "offset": start, "duration": round(end - start, 6), "text": text}
            for start, end, text in pieces
        ]
    )


def table(recording: str, pieces: Pieces) -> bytes:
    """Return rows with times."""
    rows = [f'"{recording}",{start},{end},"{text}"' for start, end, text in pieces]
    return "\n".join(["path,start,end,text", *rows, ""]).encode()


def lines(rows: Sequence[object]) -> bytes:
    """Return JSON Lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


KALDI: Mapping[str, Content] = {
    "wav.scp": lambda recording, pieces: f"talk {recording}\n".encode(),
    "text": lambda recording, pieces: "".join(f"u{n} {piece[2]}\n" for n, piece in enumerate(pieces)).encode(),
    "utt2spk": lambda recording, pieces: "".join(f"u{n} anna\n" for n in range(len(pieces))).encode(),
}


def segments(recording: str, pieces: Pieces) -> bytes:
    """Return the segments of a data folder of Kaldi."""
    return "".join(f"u{n} talk {start} {end}\n" for n, (start, end, _) in enumerate(pieces)).encode()


def tar(recording: str, pieces: Pieces) -> bytes:
    """Return samples of a WebDataset."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        members = [
            (recording, b"sound"),
            (f"{recording.removesuffix('.wav')}.json", b'{"text": "One", "speaker": ".."}'),
        ]
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def parquet(recording: str, pieces: Pieces) -> bytes:
    """Return rows with recordings in them."""
    content = io.BytesIO()
    audio = [{"bytes": b"sound", "path": recording}] * len(pieces)
    pq.write_table(pa.table({"audio": audio, "text": [text for _, _, text in pieces]}), content)
    return content.getvalue()


def kss(recording: str, pieces: Pieces) -> bytes:
    """Return rows of the Korean Single Speaker dataset."""
    rows = [f"1/{recording}|{text} 2|{text} 둘|{text}|{end - start:.1f}|English" for start, end, text in pieces]
    return "\n".join([*rows, ""]).encode()


# Those that cut parts, next to the recording talk.wav.
CUTTING = {
    "srt": Format("talk.srt", srt),
    "vtt": Format("talk.vtt", vtt),
    "ass": Format("talk.ass", ass),
    "whisper": Format("talk.json", whisper),
    "whisperx": Format("talk.json", whisperx),
    "audacity": Format("talk.txt", audacity),
    "textgrid": Format("talk.TextGrid", textgrid),
    "elan": Format("talk.eaf", elan),
    "lhotse": Format("cuts.jsonl", lhotse),
    "nemo": Format("manifest.jsonl", nemo),
    "table": Format("x.csv", table),
    "kaldi": Format("segments", segments, KALDI, is_folder=True),
}
FORMATS = CUTTING | {
    "webdataset": Format("x.tar", tar),
    "parquet": Format("x.parquet", parquet),
    "kss": Format("transcript.v.1.4.txt", kss),
}
