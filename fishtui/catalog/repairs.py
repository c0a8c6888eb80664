"""Safe repairs of clips: what replaces a file is computed here, and what it replaced is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.decode import Audio, read_audio
from fishtui.audio.encode import encode_audio
from fishtui.audio.loudness import gain_to, integrated_loudness
from fishtui.audio.measure import measure
from fishtui.audio.probe import probe
from fishtui.catalog.actions import change, clip_row, new_action
from fishtui.catalog.filechanges import changing, read
from fishtui.catalog.store import Catalog
from fishtui.dataset import Clip, clip_named
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

Files = Mapping[Path, bytes | None]
Fix = Callable[[Clip, Settings], Files]

# Silence that trimming leaves at either end, in seconds: weak consonants there can count as silence.
MARGIN_S = 0.2
# Channels whose mean has less than this share of the loudest one's energy cancel each other out.
CANCELLED = 0.05


def fix(
    catalog: Catalog, settings: Settings, reporter: Reporter, code: str, clips: Sequence[int], dry_run: bool = False
) -> Ledger:
    """Repair the finding `code` in those of `clips` that have it, as one action; the others are skipped.

    Codes of a recording that changes go with it, to be made again. Raises MisuseError if there is no repair for it.
    """
    if code not in FIXES:
        raise MisuseError(f"there is no safe repair for {code}", f"There is one for {', '.join(FIXES)}.")
    ledger = Ledger()
    with changing(catalog):
        action = new_action(catalog)
        found = {row[0] for row in catalog.query("SELECT clip FROM findings WHERE code = ?", (code,))}
        for number, clip in enumerate(clips):
            row = clip_row(catalog, clip)
            if clip not in found:
                ledger.skip(row["name"], f"no finding {code}")
                continue
            files = clip_named(catalog.data, row["name"], settings.pack.text_extension, row["files"].split("/"))
            try:
                contents = FIXES[code](files, settings)
                if not any(read(path) != content for path, content in contents.items()):
                    ledger.skip(row["name"], "there is nothing to change")
                    continue
                if not dry_run:
                    change(catalog, settings, clip, contents, action, f"fix {code}")
            except FishtuiError as error:
                ledger.fail(row["name"], error.problem)
            except (ValueError, RuntimeError, MemoryError) as error:
                ledger.fail(row["name"], f"can't be repaired: {error or type(error).__name__}")
            else:
                ledger.done += 1
            reporter.progress(number + 1, len(clips))
    return ledger


def to_mono(clip: Clip, settings: Settings) -> Files:
    """The mean of the channels, or where they cancel each other out, the loudest one."""
    path = clip.single_audio()
    audio = read_audio(path)
    mono = audio.mono()
    energies = np.square(audio.samples, dtype=np.float64).sum(axis=0)
    if np.square(mono, dtype=np.float64).sum() < CANCELLED * energies.max():
        mono = audio.samples[:, energies.argmax()]
    return _recording(clip, path, audio, mono[:, None])


def trim(clip: Clip, settings: Settings) -> Files:
    """Silence at the ends cut, but for a margin."""
    path = clip.single_audio()
    audio = read_audio(path)
    measured = measure(audio)
    margin = min(MARGIN_S, settings.checks.max_end_silence)
    first = max(0, round((measured.lead - margin) * audio.rate))
    last = len(audio.samples) - max(0, round((measured.trail - margin) * audio.rate))
    if (first, last) == (0, len(audio.samples)):
        return {}
    if first >= last:
        raise DataError("nothing is left of it without its silence", "Reject the clip.")
    return _recording(clip, path, audio, audio.samples[first:last])


def level(clip: Clip, settings: Settings) -> Files:
    """Brought to the target loudness of `normalize`, as far as its peak limit lets it."""
    path = clip.single_audio()
    audio = read_audio(path)
    loudness = integrated_loudness(audio.samples, audio.rate)
    if not np.isfinite(loudness):
        raise DataError("silent: it has no loudness to bring to the target", "Reject the clip.")
    gain = gain_to(loudness, audio.samples, settings.normalize.loudness, settings.normalize.peak)
    return _recording(clip, path, audio, audio.samples * gain.factor)


def drop_mark(clip: Clip, settings: Settings) -> Files:
    """The transcript without its byte-order mark."""
    content = read(clip.transcript)
    return {} if content is None else {clip.transcript: content.removeprefix(b"\xef\xbb\xbf")}


def rename(clip: Clip, settings: Settings) -> Files:
    """The recording under the extension of its true format."""
    path = clip.single_audio()
    header = probe(path)
    if not header.extensions:
        raise DataError(f"no extension of ours stands for {header.format}", "Convert it to wav or flac.")
    target = path.with_suffix(header.extensions[0])
    if target.exists():
        raise DataError(f"{target.name} is there already", "Look at both, and remove one.")
    return {target: read(path), path: None}


FIXES: dict[str, Fix] = {
    "stereo": to_mono,
    "silence-at-ends": trim,
    "loudness": level,
    "byte-order-mark": drop_mark,
    "wrong-extension": rename,
}


def _recording(clip: Clip, path: Path, audio: Audio, samples: np.ndarray) -> Files:
    """New samples for the recording, in its own format; codes of the old ones must not be taken for its codes."""
    content = encode_audio(samples, audio.rate, audio.format, audio.subtype)
    return {path: content} | ({clip.codes: None} if clip.has_codes else {})
