"""Guarded readers: any content of a file leads to its value, or to one `Damaged` that names the reason.

Files come from other programs, other people and interrupted copies. Their size is checked before they are read, and
nothing that a parser raises leaves a reader, so that one bad file cannot stop the work on the others.
"""

from __future__ import annotations

import json
import re
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, overload

import msgspec

from fishtui.errors import FishtuiError
from fishtui.files import regular
from fishtui.wording import reason_of, size

T = TypeVar("T")

# Limits in bytes, far above any valid file: notes, settings and transcripts; configs and tokenizers; records of runs
# and caches of hashes, which have an entry for each clip.
NOTE = 1 << 20
CONFIG = 64 << 20
RECORD = 512 << 20
# A line of a file of JSON lines.
LONGEST_LINE = 32 << 20
# A path: without a null character, and lone surrogates only for the bytes of names that are not UTF-8.
PATH = "^[^\\0\\ud800-\\udc7f\\udd00-\\udfff]*$"
PathText = Annotated[str, msgspec.Meta(pattern=PATH)]
# A text without lone surrogates, which JSON can spell and no database takes.
PlainText = Annotated[str, msgspec.Meta(pattern="^[^\\ud800-\\udfff]*$")]
# Lists and objects within each other, in values of any shape.
DEPTH = 64


class Damaged(ValueError):
    """The content of a file is not of the kind that its name promises; the message is the reason, without the file."""


@contextmanager
def guarded() -> Iterator[None]:
    """Turn any error that a parser raises in the body into `Damaged`; errors of the system and of fishtui pass."""
    try:
        yield
    except (OSError, FishtuiError, Damaged):
        raise
    except RecursionError as error:
        raise Damaged("nested too deeply") from error
    except MemoryError as error:
        raise Damaged("too large or nested too deeply") from error
    except Exception as error:
        raise Damaged(reason_of(error)) from error
    except BaseException as error:
        # Libraries in Rust report a failed assertion so.
        if type(error).__name__ != "PanicException":
            raise
        raise Damaged(reason_of(error)) from error


def read_bounded(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file. Raises OSError, `Damaged` if it has more than `limit` bytes."""
    found = regular(path).st_size
    if found > limit:
        raise Damaged(f"{size(found)}, more than the limit of {size(limit)}")
    with open(path, "rb", buffering=0) as file:
        return file.read()


def read_text(path: Path, limit: int = NOTE) -> str:
    """Return a text in UTF-8 without its byte-order mark. Raises OSError, `Damaged`."""
    content = read_bounded(path, limit)
    with guarded():
        return content.decode("utf-8-sig")


@overload
def read_json(path: Path, kind: type[T], limit: int = NOTE) -> T: ...
@overload
def read_json(path: Path, kind: Any = Any, limit: int = NOTE) -> Any: ...
def read_json(path: Path, kind: Any = Any, limit: int = NOTE) -> Any:
    """Return the value in a JSON file, of the type `kind`. Raises OSError, `Damaged`."""
    return parse_json(read_bounded(path, limit), kind)


@overload
def parse_json(content: bytes | str, kind: type[T]) -> T: ...
@overload
def parse_json(content: bytes | str, kind: Any = Any) -> Any: ...
def parse_json(content: bytes | str, kind: Any = Any) -> Any:
    """Return a JSON value of the type `kind`; values of any type are at most `DEPTH` deep. Raises `Damaged`.

    A byte-order mark is ignored. Lone surrogates are accepted: fishtui writes names of files that are not UTF-8 so.
    """
    content = content.removeprefix(BOM_UTF8) if isinstance(content, bytes) else content.removeprefix("\ufeff")
    with guarded():
        try:
            found = msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError:
            escape: Any = b"\\u" if isinstance(content, bytes) else "\\u"
            if escape not in content:
                raise
            # msgspec's own reader refuses lone surrogates.
            found = msgspec.convert(json.loads(content, parse_constant=_refuse_constant), kind)
        if kind is Any:
            check_depth(found)
        return found


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file, which may begin with a byte-order mark. Raises OSError, `Damaged`."""
    text = read_text(path)
    with guarded():
        found = tomllib.loads(text)
        check_depth(found)
        return found


def read_lines(path: Path, longest: int = LONGEST_LINE) -> Iterator[bytes | None]:
    """Yield the lines of a file with their ends; None for a line of more than `longest` bytes. Raises OSError.

    The last line may have no end: its writer was interrupted.
    """
    regular(path)
    with path.open("rb") as file:
        while line := file.readline(longest + 1):
            if len(line) <= longest:
                yield line
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(longest)
            yield None


def check_depth(value: Any) -> None:
    """Raise `Damaged` if lists and dictionaries lie within each other more than `DEPTH` deep."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(DEPTH):
        if not level:
            return
        members = (inner for each in level for inner in (each.values() if isinstance(each, dict) else each))
        level = [inner for inner in members if isinstance(inner, list | dict)]
    raise Damaged("nested too deeply")


def is_path(text: str) -> bool:
    """Return True if the system accepts a text as a path."""
    return bool(text) and re.search(PATH, text) is not None


def _refuse_constant(name: str) -> None:
    raise Damaged(f"{name} is not a JSON value")
