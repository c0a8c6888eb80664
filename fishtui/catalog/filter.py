"""The language that clips are filtered, searched and sorted with, on the command line and in the interface alike.

    speaker:SPK1 duration:>12 finding:clipped,noisy -status:rejected "what is said" sort:-duration

Terms stand between blanks, and all of them are to hold; a minus before one negates it. A term is `field:value`,
or `field:a,b` for any of several values, or just what to find in the transcript. A number may stand after < <= > >=,
or be a range, 2..5. Quotes hold blanks, commas and colons together; a quote in them is \\", a backslash \\\\.
`sort:field` sorts, `sort:-field` downwards, clips without a value last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fishtui.catalog.fields import (
    FIELDS,
    INDEXED_LENGTH,
    Between,
    Comparison,
    Condition,
    Field,
    Kind,
    Value,
    condition,
    containing,
    fold,
    named,
    shown,
)
from fishtui.errors import MisuseError
from fishtui.wording import suggest

__all__ = ["FIELDS", "Between", "Comparison", "Query", "Selection", "Sort", "Term", "fold", "parse", "sql"]

# SQLite refuses expressions more than 1,000 deep, and patterns of more than 50,000 bytes.
MOST_VALUES = 500
MOST_SORTS = 20
LONGEST_VALUE = 5_000
# No two clips are equal in these.
ALONE = ("id", "name")

HEAD = re.compile(r"\s*(?=\S)(-?)(?:([A-Za-z]+(?:-[A-Za-z]+)*):)?")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
WORD = re.compile(r'[^\s"]+')
ITEM = re.compile(r'[^\s",]+')
PLAIN = re.compile(r"\w[\w.*/'-]*")
NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
COMPARISON = re.compile(rf"([<>]=?|=?)({NUMBER})", re.ASCII)
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})", re.ASCII)


@dataclass(frozen=True)
class Term:
    """What is to hold of a clip: the field has one of the values, or, `negated`, none of them.

    Raises MisuseError if the field doesn't take such values, so there is no Term that can't be asked.
    """

    field: str
    values: tuple[Value, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        field = named(self.field)
        if not self.values:
            raise MisuseError(f"{self.field}: has no value", f"It is {field.help}.")
        for value in self.values:
            _check(field, value)

    def __str__(self) -> str:
        values = ",".join(_written(value) for value in self.values)
        field = "" if self.field == "text" and len(self.values) == 1 else f"{self.field}:"
        return f"{'-' * self.negated}{field}{values}"


@dataclass(frozen=True)
class Sort:
    """An order of clips. Raises MisuseError if they have none by that field."""

    field: str
    descending: bool = False

    def __post_init__(self) -> None:
        if not named(self.field).order:
            raise MisuseError(f"clips can't be sorted by {self.field}", "Sort by another field, such as duration.")

    def __str__(self) -> str:
        return f"sort:{'-' * self.descending}{self.field}"


@dataclass(frozen=True)
class Query:
    """Which clips, and in what order; `str` writes it so that `parse` reads the same.

    Raises MisuseError if there is more in it than SQLite takes.
    """

    terms: tuple[Term, ...] = ()
    sort: tuple[Sort, ...] = ()

    def __post_init__(self) -> None:
        if sum(len(term.values) for term in self.terms) > MOST_VALUES or len(self.sort) > MOST_SORTS:
            raise MisuseError(
                f"the query has more than {MOST_VALUES} values or {MOST_SORTS} sorts", "Ask for less at a time."
            )

    def __str__(self) -> str:
        return " ".join(map(str, (*self.terms, *self.sort)))


class Selection(NamedTuple):
    """What a query says in SQL on the table `clips`: for WHERE, for ORDER BY, and the values of the question marks."""

    where: str
    order: str
    parameters: tuple[Any, ...]


def parse(text: str) -> Query:
    """Read a query. Raises MisuseError, and nothing else, that says what can't be read and what is meant perhaps."""
    terms: list[Term] = []
    sorts: list[Sort] = []
    for negated, name, values in _scan(text):
        if name != "sort":
            terms.append(Term(name, tuple(_read(named(name), value) for value in values), negated))
        elif negated:
            raise MisuseError("a minus before sort: means nothing", "Write sort:-field to sort downwards.")
        else:
            sorts += [Sort(value.removeprefix("-").lower(), value.startswith("-")) for value in values]
    return Query(tuple(terms), tuple(sorts))


def sql(query: Query, index: bool = True) -> Selection:
    """The query for SQLite. Clips that have left the disk are left out; equal ones are sorted by id.

    Without `index` the index of transcripts is not asked: each transcript is looked through.
    """
    where = ["clips.gone IS NULL"]
    parameters: list[Any] = []
    indexed = [term for term in query.terms if index and _is_indexed_text(term)]
    beside = [term for term in indexed if len(term.values) == 1 and not term.negated]
    conditions = [containing((str(term.values[0]) for term in beside), every=True)] if beside else []
    conditions += [_either(term, term in indexed) for term in query.terms if term not in beside]
    for part, values in conditions:
        where.append(part)
        parameters += values
    # Downwards, SQLite has those without a value last of itself.
    order = [f"{FIELDS[sort.field].order} {'DESC' if sort.descending else 'NULLS LAST'}" for sort in query.sort]
    if not any(sort.field in ALONE for sort in query.sort):
        order.append("clips.id" if order else "clips.name")
    return Selection(" AND ".join(where), ", ".join(order), tuple(parameters))


def sorted_by(text: str, field: str, descending: bool) -> str:
    """Return the filter `text` with this order in place of its own; by name, ascending, is the default order."""
    order = () if (field, descending) == ("name", False) else (Sort(field, descending),)
    return str(Query(parse(text).terms, order))


def order_of(text: str) -> Sort:
    """Return the first order of the filter `text`."""
    return next(iter(parse(text).sort), Sort("name"))


def only_open(text: str) -> str:
    """Return the filter `text`, restricted to clips that have not been reviewed."""
    query = parse(text)
    return str(Query((*query.terms, Term("status", ("open",))), query.sort))


def _either(term: Term, indexed: bool) -> Condition:
    """That a clip's field has one of the term's values, or none of them."""
    if indexed:
        either, parameters = containing(map(str, term.values), every=False)
    else:
        conditions = [condition(FIELDS[term.field], value) for value in term.values]
        either = "(" + " OR ".join(part for part, _ in conditions) + ")"
        parameters = tuple(value for _, values in conditions for value in values)
    return f"({either}) IS NOT TRUE" if term.negated else either, parameters


def _is_indexed_text(term: Term) -> bool:
    """Whether the index of transcripts can find each of the term's values."""
    return term.field == "text" and all(len(fold(str(value))) >= INDEXED_LENGTH for value in term.values)


def _scan(text: str) -> Iterator[tuple[bool, str, list[str]]]:
    """Each term: whether it is negated, its field, its values as they are written less their quotes."""
    position = 0
    while head := HEAD.match(text, position):
        negated, name = bool(head[1]), (head[2] or "text").lower()
        values, position = _values(text, head.end(), ITEM if head[2] else WORD)
        yield negated, name, values
        if position < len(text) and not text[position].isspace():
            raise MisuseError(f"a blank is due before {shown(text[position:])}", 'Put "quotes" around all of a value.')


def _values(text: str, position: int, item: re.Pattern[str]) -> tuple[list[str], int]:
    values: list[str] = []
    while True:
        if found := QUOTED.match(text, position):
            values.append(re.sub(r'\\(["\\])', r"\1", found[1]))
        elif text.startswith('"', position):
            raise MisuseError(f"the quote at {shown(text[position:])} is not closed", 'End it with another ".')
        elif found := item.match(text, position):
            values.append(found[0])
        else:
            before = text[:position].split()
            raise MisuseError(
                f"no value follows {shown(before[-1]) if before else 'here'}", 'Write one, or "" for none.'
            )
        position = found.end()
        if item is WORD or not text.startswith(",", position):
            return values, position
        position += 1


def _read(field: Field, value: str) -> Value:
    if field.kind is Kind.CHOICE:
        return value.lower()
    if field.kind is not Kind.NUMBER:
        return value
    if found := RANGE.fullmatch(value):
        return Between(float(found[1]), float(found[2]))
    if found := COMPARISON.fullmatch(value):
        return Comparison(found[1] or "=", float(found[2]))
    raise MisuseError(
        f"{field.name}:{shown(value)} is no number", f"Write {field.name}:>2, {field.name}:<=5 or {field.name}:2..5."
    )


def _check(field: Field, value: Value) -> None:
    """Raise MisuseError if that field can't be asked for that value."""
    match value:
        case str() if field.kind is not Kind.NUMBER:
            _check_text(field, value)
        case Comparison() if field.kind is Kind.NUMBER and value.relation in ("=", "<", "<=", ">", ">="):
            _check_numbers(field, value, value.number)
        case Between() if field.kind is Kind.NUMBER:
            _check_numbers(field, value, value.low, value.high)
            if value.low > value.high:
                raise MisuseError(
                    f"{field.name}:{value} runs backwards", f"Write {field.name}:{Between(value.high, value.low)}."
                )
        case _:
            raise MisuseError(f"{field.name} doesn't take {shown(repr(value))}", f"It is {field.help}.")


def _check_text(field: Field, value: str) -> None:
    if len(value) > LONGEST_VALUE:
        raise MisuseError(f"{field.name}:{shown(value)} is longer than {LONGEST_VALUE:,} characters", "Shorten it.")
    if field.kind is Kind.CHOICE and value not in field.choices:
        raise MisuseError(f"{field.name} is never {shown(value)}", suggest(value, field.choices))
    if field.kind is Kind.TEXT:
        return
    # A NUL ends a pattern for SQLite, and no name holds one; nor does it hold what stands for no byte.
    if "\0" in value or re.search("[\ud800-\udc7f\udd00-\udfff]", value) or (field.kind is Kind.TAG and "|" in value):
        raise MisuseError(f"{field.name}:{shown(value)} holds a character that it can't have", f"It is {field.help}.")


def _check_numbers(field: Field, value: Value, *numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise MisuseError(f"{field.name}:{value} is beyond all numbers", "Write a smaller one.")


def _written(value: Value) -> str:
    if not isinstance(value, str) or PLAIN.fullmatch(value):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
