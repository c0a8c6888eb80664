"""The language of filters, which select, search and sort clips on the command line and in the interface.

    speaker:SPK1 duration:>12 finding:clipped,noisy -status:rejected "so far" sort:-duration

Terms are separated by spaces, and a clip must match all of them; a minus before a term negates it. A term is
`field:value`, `field:a,b` for any of the values, or only a text to find in the transcript. A number can follow one of
< <= > >=, or be a range such as 2..5. Quotes enclose a value with spaces, commas or colons; inside them, a quote is
\\" and a backslash is \\\\. `sort:field` sorts in ascending and `sort:-field` in descending order; clips without a
value come last.
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
    Comparison,
    Condition,
    Field,
    Kind,
    Range,
    Value,
    condition,
    containing,
    excerpt,
    field_named,
    fold,
)
from fishtui.errors import MisuseError
from fishtui.wording import suggest

# SQLite refuses expressions more than 1,000 deep, and patterns of more than 50,000 bytes.
MOST_VALUES = 500
MOST_SORTS = 20
LONGEST_VALUE = 5_000
# Fields that differ between any two clips.
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
    """A condition on a clip: the field has one of the values or, if `negated`, none of them.

    Raises MisuseError if a value is not valid for the field, so every Term can be translated to SQL.
    """

    field: str
    values: tuple[Value, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        field = field_named(self.field)
        if not self.values:
            raise MisuseError(f"{self.field}: no value", f"{self.field} is {field.help}.", code="no-value")
        for value in self.values:
            _check(field, value)

    def __str__(self) -> str:
        values = ",".join(_written(value) for value in self.values)
        field = "" if self.field == "text" and len(self.values) == 1 else f"{self.field}:"
        return f"{'-' * self.negated}{field}{values}"


@dataclass(frozen=True)
class Sort:
    """An order of clips by a field. Raises MisuseError if the field cannot be sorted by."""

    field: str
    descending: bool = False

    def __post_init__(self) -> None:
        if not field_named(self.field).order:
            raise MisuseError(
                f"sort:{self.field}: clips have no order by this field",
                "Sort by another field, such as duration.",
                code="not-sortable",
            )

    def __str__(self) -> str:
        return f"sort:{'-' * self.descending}{self.field}"


@dataclass(frozen=True)
class Query:
    """A parsed filter: the terms that a clip must match, and the order; `parse(str(query))` returns an equal one.

    Raises MisuseError if it has more values or sorts than SQLite allows.
    """

    terms: tuple[Term, ...] = ()
    sort: tuple[Sort, ...] = ()

    def __post_init__(self) -> None:
        if sum(len(term.values) for term in self.terms) > MOST_VALUES or len(self.sort) > MOST_SORTS:
            raise MisuseError(
                f"the filter has more than {MOST_VALUES} values or {MOST_SORTS} sorts",
                "Remove some of them.",
                code="filter-too-long",
            )

    def __str__(self) -> str:
        return " ".join(map(str, (*self.terms, *self.sort)))


class Selection(NamedTuple):
    """A filter in SQL, on the table `clips`: for WHERE, for ORDER BY, and the values of the question marks."""

    where: str
    order: str
    parameters: tuple[Any, ...]


def parse(text: str) -> Query:
    """Parse a filter. Raises MisuseError, and no other error, with a suggestion, if it is not valid."""
    terms: list[Term] = []
    sorts: list[Sort] = []
    for negated, name, values in _scan(text):
        if name != "sort":
            terms.append(Term(name, tuple(_read(field_named(name), value) for value in values), negated))
        elif negated:
            raise MisuseError(
                "-sort: is not valid", "Write sort:-field to sort in descending order.", code="negated-sort"
            )
        else:
            sorts += [Sort(value.removeprefix("-").lower(), value.startswith("-")) for value in values]
    return Query(tuple(terms), tuple(sorts))


def sql(query: Query, index: bool = True) -> Selection:
    """Translate a query to SQL, without clips that have left the disk; clips that compare equal are sorted by id.

    With `index=False`, transcripts are searched one by one instead of through their index.
    """
    where = ["clips.gone IS NULL"]
    parameters: list[Any] = []
    indexed = [term for term in query.terms if index and _is_indexed_text(term)]
    joint = [term for term in indexed if len(term.values) == 1 and not term.negated]
    conditions = [containing((str(term.values[0]) for term in joint), every=True)] if joint else []
    conditions += [_either(term, term in indexed) for term in query.terms if term not in joint]
    for part, values in conditions:
        where.append(part)
        parameters += values
    # In descending order, SQLite puts clips without a value last by itself.
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
    """Return the condition for one of the term's values, or for none of them if it is negated."""
    if indexed:
        either, parameters = containing(map(str, term.values), every=False)
    else:
        conditions = [condition(FIELDS[term.field], value) for value in term.values]
        either = "(" + " OR ".join(part for part, _ in conditions) + ")"
        parameters = tuple(value for _, values in conditions for value in values)
    return f"({either}) IS NOT TRUE" if term.negated else either, parameters


def _is_indexed_text(term: Term) -> bool:
    """Return True if the index of transcripts can find each of the term's values."""
    return term.field == "text" and all(len(fold(str(value))) >= INDEXED_LENGTH for value in term.values)


def _scan(text: str) -> Iterator[tuple[bool, str, list[str]]]:
    """Yield each term: True if it is negated, its field, and its values without their quotes."""
    position = 0
    while head := HEAD.match(text, position):
        negated, name = bool(head[1]), (head[2] or "text").lower()
        values, position = _values(text, head.end(), ITEM if head[2] else WORD)
        yield negated, name, values
        if position < len(text) and not text[position].isspace():
            raise MisuseError(
                f"expected a space before {excerpt(text[position:])}",
                'Put "quotes" around the whole value.',
                code="missing-space",
            )


def _values(text: str, position: int, item: re.Pattern[str]) -> tuple[list[str], int]:
    values: list[str] = []
    while True:
        if found := QUOTED.match(text, position):
            values.append(re.sub(r'\\(["\\])', r"\1", found[1]))
        elif text.startswith('"', position):
            raise MisuseError(
                f"the quote at {excerpt(text[position:])} is not closed", 'Close it with another ".', code="open-quote"
            )
        elif found := item.match(text, position):
            values.append(found[0])
        else:
            before = text[:position].split()
            raise MisuseError(
                f"no value after {excerpt(before[-1])}" if before else "no value",
                'Write a value; "" is the empty text.',
                code="no-value",
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
        return Range(float(found[1]), float(found[2]))
    if found := COMPARISON.fullmatch(value):
        return Comparison(found[1] or "=", float(found[2]))
    raise MisuseError(
        f"{field.name}:{excerpt(value)} is not a number",
        f"Write {field.name}:>2, {field.name}:<=5 or {field.name}:2..5.",
        code="not-a-number",
    )


def _check(field: Field, value: Value) -> None:
    """Raise MisuseError if the value is not valid for the field."""
    match value:
        case str() if field.kind is not Kind.NUMBER:
            _check_text(field, value)
        case Comparison() if field.kind is Kind.NUMBER and value.relation in ("=", "<", "<=", ">", ">="):
            _check_numbers(field, value, value.number)
        case Range() if field.kind is Kind.NUMBER:
            _check_numbers(field, value, value.low, value.high)
            if value.low > value.high:
                raise MisuseError(
                    f"{field.name}:{value} starts above its end",
                    f"Write {field.name}:{Range(value.high, value.low)}.",
                    code="reversed-range",
                )
        case _:
            raise MisuseError(
                f"{field.name}: not a valid value: {excerpt(repr(value))}",
                f"{field.name} is {field.help}.",
                code="not-valid",
            )


def _check_text(field: Field, value: str) -> None:
    if len(value) > LONGEST_VALUE:
        raise MisuseError(
            f"{field.name}:{excerpt(value)} is longer than {LONGEST_VALUE:,} characters",
            "Shorten it.",
            code="filter-too-long",
        )
    if field.kind is Kind.CHOICE and value not in field.choices:
        raise MisuseError(f"unknown {field.name} {excerpt(value)}", suggest(value, field.choices), code="unknown-value")
    if field.kind is Kind.TEXT:
        return
    # A NUL ends a pattern for SQLite. Names contain no NUL, and only the surrogates that represent bytes.
    if "\0" in value or re.search("[\ud800-\udc7f\udd00-\udfff]", value) or (field.kind is Kind.TAG and "|" in value):
        raise MisuseError(
            f"{field.name}:{excerpt(value)} contains a character that is not allowed there",
            f"{field.name} is {field.help}.",
            code="not-valid",
        )


def _check_numbers(field: Field, value: Value, *numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise MisuseError(f"{field.name}:{value} is not a finite number", "Write a smaller number.", code="not-finite")


def _written(value: Value) -> str:
    if not isinstance(value, str) or PLAIN.fullmatch(value):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
