"""Tags of the style of speech, such as [laugh], that a person puts into transcripts."""

from __future__ import annotations

from fishtui.project import Project
from fishtui.reading import Damaged, read_text
from fishtui.wording import cannot_read

FILE = "tags.txt"
# For a project without a file.
USUAL = ("[laugh]", "[whisper]", "[sigh]", "[excited]", "[sad]", "[angry]", "[shouting]", "[low voice]", "[pause]")


def read_style_tags(project: Project) -> list[str]:
    """Return the tags in the project's `tags.txt`, one a line, without comments (#); the usual ones without a file.

    Raises FishtuiError, code `cannot-read`.
    """
    path = project.root / FILE
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        return list(USUAL)
    except (OSError, Damaged) as error:
        raise cannot_read(path, error) from error
    found = [line.strip() for line in lines]
    return list(dict.fromkeys(tag for tag in found if tag and not tag.startswith("#")))


def find_style_tags(project: Project, words: str) -> list[str]:
    """Return the tags that have all of some words. Raises FishtuiError as `read_style_tags`."""
    wanted = words.casefold().split()
    return [tag for tag in read_style_tags(project) if all(word in tag.casefold() for word in wanted)]


def insert_tag(text: str, position: int, tag: str) -> tuple[str, int]:
    """Return a text with a tag at a position, between spaces, and the position behind it."""
    before, after = text[:position], text[position:]
    left = " " if before and not before[-1].isspace() else ""
    right = " " if not after or not after[0].isspace() else ""
    added = f"{left}{tag}{right}"
    return before + added + after, len(before + added)
