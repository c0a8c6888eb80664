"""Find long recordings, and whose they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from fishtui.dataset import EXTENSIONS, walk
from fishtui.speakers import branch_of, distinct_speakers, speaker_of

# As `fishtui import` reads them.
SUBTITLES = (".srt", ".vtt", ".ass", ".ssa")


def find_recordings(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each recording once, with the speaker that its folders name: `a/anna` and `b/anna` if there are two Annas.

    Raises FishtuiError for unreadable folders.
    """
    seen: set[str] = set()
    for start in paths:
        start = Path(os.path.abspath(start))
        if start.is_dir():
            branches = {
                folder / name: branch_of(folder.relative_to(start).parts, Path(name).stem)
                for folder, names in walk([start])
                for name in names
                if os.path.splitext(name)[1].lower() in EXTENSIONS
            }
            speakers = distinct_speakers(branches.values(), str(start))
            listed = [(path, speakers[branch]) for path, branch in branches.items()]
        else:
            listed = [(start, speaker_of((), str(start.parent)))]
        for path, speaker in listed:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path, speaker


def find_subtitled(paths: Iterable[Path]) -> set[Path]:
    """Return the recordings with subtitles in the same folder: `talk.srt` or `talk.en.srt` for `talk.mp4`.

    A folder that cannot be read has none.
    """
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    found = set()
    for folder, recordings in folders.items():
        try:
            names = [Path(name).stem for name in os.listdir(folder) if name.lower().endswith(SUBTITLES)]
        except OSError:
            continue
        stems = {*names, *(os.path.splitext(name)[0] for name in names)}
        found |= {path for path in recordings if path.stem in stems}
    return found
