"""Random damage of a file's content."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

# Values that parsers and arithmetic do not expect, in text and in binary numbers.
WORDS = [
    *(b"", b"null", b"true", b"-1", b"0", b"0.5", b"NaN", b"Infinity", b"1e999", b"-1e300", b"9" * 5_000, b"9" * 19),
    *(b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"../../etc/passwd"),
    *(b"/dev/zero", b"(", b"[" * 2_000, b'{"a":' * 2_000, b"2147483648", b"1e308", b"\r", b"\x00", b"\xe2\x80\xa8"),
]
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1]
# A number, a quoted text or a word: what a value of a text file looks like.
VALUE = re.compile(rb'"[^"\n]{0,200}"|-?\d[\d.e+-]*|[A-Za-z_]{2,}')


def damaged(content: bytes, random: Random) -> bytes:
    """Return `content` with one to four faults."""
    for _ in range(random.randint(1, 4)):
        content = random.choice(FAULTS)(content, random)
    return content


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 4, 32]) if changed else 0):
        changed[_near_the_start(len(changed), random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _number(content: bytes, random: Random) -> bytes:
    size = random.choice([1, 2, 4, 8])
    at = _near_the_start(len(content) + 1, random)
    value = random.choice(NUMBERS) % (1 << 8 * size)
    return content[:at] + value.to_bytes(size, random.choice(["little", "big"])) + content[at + size :]


def _word(content: bytes, random: Random) -> bytes:
    values = list(VALUE.finditer(content[: 1 << 16]))
    if not values:
        return content + random.choice(WORDS)
    value = random.choice(values)
    return content[: value.start()] + random.choice(WORDS) + content[value.end() :]


def _cut(content: bytes, random: Random) -> bytes:
    first, last = sorted(random.randrange(len(content) + 1) for _ in range(2))
    return random.choice([content[:first], content[last:], content[:first] + content[last:]])


def _repeat(content: bytes, random: Random) -> bytes:
    first, last = sorted(_near_the_start(len(content) + 1, random) for _ in range(2))
    return (
        content[:last] + content[first:last] * random.choice([1, 2, 50]) + content[last:]
        if last - first < 4_096
        else content
    )


def _insert(content: bytes, random: Random) -> bytes:
    at = _near_the_start(len(content) + 1, random)
    return content[:at] + random.choice([random.choice(WORDS), random.randbytes(random.randint(1, 64))]) + content[at:]


def _swap(content: bytes, random: Random) -> bytes:
    """Exchange two values, so that each is of the wrong kind for its place."""
    values = list(VALUE.finditer(content[: 1 << 16]))
    if len(values) < 2:
        return content
    first, second = sorted(random.sample(values, 2), key=lambda value: value.start())
    return (
        content[: first.start()]
        + second[0]
        + content[first.end() : second.start()]
        + first[0]
        + content[second.end() :]
    )


def _near_the_start(length: int, random: Random) -> int:
    """A position; half of them in the first 256 bytes, where headers are."""
    return random.randrange(min(length, random.choice([256, length])))


FAULTS: list[Callable[[bytes, Random], bytes]] = [_flip, _number, _word, _word, _cut, _repeat, _insert, _swap]
