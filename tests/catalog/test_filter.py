from __future__ import annotations

import fnmatch
import operator
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.catalog.fields import FIELDS, INDEXED_LENGTH, Comparison, Kind, Range, fold, mark
from fishtui.catalog.filter import Query, Sort, Term, only_open, parse, sorted_by, sql
from fishtui.catalog.index import index
from fishtui.catalog.schema import migrate
from fishtui.catalog.store import stored
from fishtui.checks.registry import CHECKS, Severity
from fishtui.errors import MisuseError
from tests.expecting import failing

# Characters with a meaning in the language, SQLite, its index or Unicode.
SPECIAL = "aAbßİıΐeé\u0301*?[]\"\\'^(){}:,.-+<>= \t\n\0\x1f|/نافذة天气今日😀\u200f\u2028\ufffd\ufffe\uffff"
characters = st.one_of(st.sampled_from(SPECIAL), st.characters(codec="utf-8"))
texts = st.text(characters, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
# Characters that a name can contain: not NUL, but bytes that are not UTF-8.
names = st.text(st.one_of(characters, st.sampled_from("\udc80\udcff")), max_size=8).filter(
    lambda name: "\0" not in name
)


def numeric() -> st.SearchStrategy[Comparison | Range]:
    comparisons = st.builds(Comparison, st.sampled_from(["=", "<", "<=", ">", ">="]), numbers)
    ranges = st.tuples(numbers, numbers).map(lambda pair: Range(min(pair), max(pair)))
    return comparisons | ranges


def values_of(name: str) -> st.SearchStrategy[Any]:
    field = FIELDS[name]
    if field.kind is Kind.NUMBER:
        return numeric()
    if field.kind is Kind.CHOICE:
        return st.sampled_from(sorted(field.choices))
    if field.kind is Kind.TEXT:
        return texts | st.just("\ud800")
    return names.filter(lambda value: "|" not in value) if field.kind is Kind.TAG else names


@st.composite
def terms(draw: st.DrawFn) -> Term:
    name = draw(st.sampled_from(sorted(FIELDS)))
    return Term(name, tuple(draw(st.lists(values_of(name), min_size=1, max_size=3))), draw(st.booleans()))


sorts = st.builds(Sort, st.sampled_from([name for name, field in FIELDS.items() if field.order]), st.booleans())
queries = st.builds(Query, st.lists(terms(), max_size=4).map(tuple), st.lists(sorts, max_size=3).map(tuple))


@pytest.fixture(scope="module")
def catalog() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    yield connection
    connection.close()


class Clips:
    """Clips that are in the catalog during one example."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> Clips:
        self.connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.execute("ROLLBACK")

    def add(self, number: int, findings: tuple[str, ...] = (), edited: bool = False, **columns: Any) -> None:
        columns = {"name": f"anna/{number}", "speaker": "anna", "files": "", "born": 1, **columns, "id": number}
        columns["folded"] = fold(columns.get("text") or "")
        columns["severity"] = max((CHECKS[code].severity for code in findings), default=0)
        columns["found"] = "".join(mark(CHECKS[code])[:-1] for code in findings) + "|" if findings else ""
        marks = ",".join("CAST(? AS TEXT)" if name in ("name", "speaker") else "?" for name in columns)
        values = [stored(value) if isinstance(value, str) else value for value in columns.values()]
        self.connection.execute(f"INSERT INTO clips({','.join(columns)}) VALUES ({marks})", values)
        index(self.connection, [number])
        if edited:
            self.connection.execute(
                "INSERT INTO history(action, clip, kind, before, after, state, who, time) "
                "VALUES (1, ?, 'file', '', '', 'done', '', '')",
                (number,),
            )

    def select(self, query: Query | str) -> list[int]:
        selection = sql(parse(query) if isinstance(query, str) else query)
        statement = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order}"
        return [row[0] for row in self.connection.execute(statement, selection.parameters)]


# --- The language


@given(queries)
def test_a_query_survives_writing_and_parsing(query: Query) -> None:
    assert parse(str(query)) == query


words = st.sampled_from(
    ['"', "\\", ":", ",", "-", "..", "<", ">=", "*", " ", "sort", "1e999", "12", "٣", "any", *FIELDS]
)


@given(st.text(st.characters(codec=None)) | st.lists(words | texts).map("".join))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(MisuseError):
        query = parse(text)
        assert parse(str(query)) == query


@given(query=queries)
def test_every_query_runs(catalog: sqlite3.Connection, query: Query) -> None:
    with Clips(catalog) as clips:
        clips.add(1, text="Hello", duration=2.0, loudness=-23.0)
        assert clips.select(query) in ([], [1])


@pytest.mark.parametrize(
    "query",
    [
        Query((Term("id", tuple(Comparison("=", number) for number in range(500))),)),
        Query(tuple(Term("text", ("ab", ), negated=True) for _ in range(500))),
        Query((Term("tag", ("a",) * 250, negated=True), *(Term("duration", (Range(0, 1),)) for _ in range(250)))),
        Query((Term("text", ("天" * 5_000,)), Term("name", ("天" * 5_000,)), Term("speaker", ("[*" * 2_500,)))),
        Query((), tuple(Sort("name", descending=True) for _ in range(20))),
    ],
    ids=["values", "terms", "both", "long", "sorts"],
)  # fmt: skip
def test_the_longest_queries_run(catalog: sqlite3.Connection, query: Query) -> None:
    assert parse(str(query)) == query
    with Clips(catalog) as clips:
        assert clips.select(query) == []


@pytest.mark.parametrize("text", ["a " * 501, "id:" + ",".join("1" * 501), "x" * 5_001, "sort:id " * 21])
def test_longer_queries_are_refused(text: str) -> None:
    with failing("filter-too-long", MisuseError):
        parse(text)


def test_the_canonical_form_has_no_needless_quotes() -> None:
    text = 'speaker:SPK1 duration:>12 finding:clipped status:open text:"نافذة" sort:-duration'
    assert str(parse(text)) == "speaker:SPK1 duration:>12 finding:clipped status:open نافذة sort:-duration"
    assert str(parse('Duration:=2.50 -"say \\"hi\\"" "12:30" don\'t http "-x" text:a,"b c"')) == (
        'duration:2.5 -"say \\"hi\\"" "12:30" don\'t http "-x" text:a,"b c"'
    )


@pytest.mark.parametrize(
    ("text", "code", "suggestion"),
    [
        ("finding:cliped", "unknown-value", "clipped"),
        ("status:opne", "unknown-value", "open"),
        ("durations:>3", "unknown-field", "duration"),
        ("http://x", "unknown-field", '"quotes"'),
        ("duration:long", "not-a-number", "duration:>2"),
        ("duration:1e999", "not-finite", "smaller"),
        ("duration:5..2", "reversed-range", "duration:2..5"),
        ("duration:2..", "not-a-number", "duration:2..5"),
        ("duration:,", "no-value", ""),
        ("speaker:", "no-value", ""),
        ("speaker: x", "no-value", ""),
        ("speaker:a,", "no-value", ""),
        ("-", "no-value", ""),
        ('"open', "open-quote", '"'),
        ('a"b c"', "missing-space", '"quotes"'),
        ('"a"b', "missing-space", '"quotes"'),
        ("-sort:id", "negated-sort", "sort:-field"),
        ("sort:edited", "not-sortable", "duration"),
        ("sort:length", "unknown-field", "Use one of"),
        ('tag:"a|b"', "not-valid", "tag"),
        ('speaker:"a\0*"', "not-valid", "speaker"),
    ],
)
def test_an_invalid_filter_is_reported_with_a_suggestion(text: str, code: str, suggestion: str) -> None:
    with failing(code, MisuseError) as caught:
        parse(text)
    assert suggestion in caught.value.remedy
    assert "\n" not in caught.value.problem + caught.value.remedy


def test_a_term_refuses_invalid_values() -> None:
    for field, value, code in [
        ("duration", "2", "not-valid"),
        ("duration", Comparison("!=", 2), "not-valid"),
        ("duration", Comparison("<", float("nan")), "not-finite"),
        ("name", Comparison("=", 2), "not-valid"),
        ("finding", "nonsense", "unknown-value"),
        ("nothing", "x", "unknown-field"),
    ]:
        with failing(code, MisuseError):
            Term(field, (value,))
    with failing("no-value", MisuseError):
        Term("name", ())


def test_every_field_has_help() -> None:
    assert all(field.help for field in FIELDS.values())


# --- The transcripts


@st.composite
def needles(draw: st.DrawFn) -> tuple[list[str], str]:
    """Draw transcripts and a text to find, which is often a part of one of them, in upper or lower case."""
    transcripts = draw(st.lists(st.text(characters, max_size=30), min_size=1, max_size=6))
    if draw(st.booleans()):
        return transcripts, draw(texts)
    text = draw(st.sampled_from(transcripts))
    start = draw(st.integers(0, len(text)))
    part = text[start : draw(st.integers(start, min(len(text), start + 6)))]
    return transcripts, draw(st.sampled_from([part, part.upper(), part.lower()]))


@given(case=needles())
def test_a_search_finds_exactly_the_transcripts_that_contain_the_text(
    catalog: sqlite3.Connection, case: tuple[list[str], str]
) -> None:
    transcripts, needle = case
    with Clips(catalog) as clips:
        for number, text in enumerate(transcripts):
            clips.add(number, text=text)
        holding = {number for number, text in enumerate(transcripts) if fold(needle) in fold(text)}
        assert set(clips.select(Query((Term("text", (needle,)),)))) == holding
        rest = set(range(len(transcripts))) - holding
        assert set(clips.select(Query((Term("text", (needle,), negated=True),)))) == rest


@pytest.mark.parametrize(
    ("needle", "text"),
    [
        ("نافذة", "افتح النافذة من فضلك"),
        ("气", "今天天气很好"),
        ("天气很", "今天天气很好"),
        ("STRASSE", "Die Straße"),
        ("e\u0301t", "l'Été"),
        ("😀", "so 😀"),
        ('" OR a*', 'x" OR a*y'),
        ("NEAR(a b)", "near(A B)"),
        ("a\0b", "A\0B"),
    ],
)
def test_a_search_works_in_all_scripts_and_has_no_operators(
    catalog: sqlite3.Connection, needle: str, text: str
) -> None:
    with Clips(catalog) as clips:
        clips.add(1, text=text)
        clips.add(2, text="something else")
        clips.add(3, text=None)
        assert clips.select(Query((Term("text", (needle,)),))) == [1]


def test_all_words_of_a_search_must_match(catalog: sqlite3.Connection) -> None:
    with Clips(catalog) as clips:
        clips.add(1, text="Open the window")
        clips.add(2, text="The window opens.")
        clips.add(3, text="Open the door")
        assert clips.select("open window") == [1, 2]
        assert clips.select('"open the" -door') == [1]
        assert clips.select("text:door,opens") == [2, 3]


def test_the_index_does_not_change_folded_text() -> None:
    assert fold("ΑΒ ẞ \0\ud800\ufffe") == "αβ ss \ufffd\ufffd\ufffd"
    assert INDEXED_LENGTH == 3


# --- The other fields, compared with the same conditions in Python

RELATIONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
FEW = st.sampled_from
some_numbers = st.none() | FEW([-23.0, 0.0, 1.0, 2.5, 12.0, 16_000.0])
clip_columns = st.fixed_dictionaries(
    {
        "speaker": FEW(["anna", "Anna", "bert", "a*a", "[a]", "a?a", "\udcff", ""]),
        "status": FEW(["open", "accepted", "rejected"]),
        "tags": FEW(["", "|a|", "|a|b|", "|ab|"]),
        "duration": some_numbers,
        "loudness": some_numbers,
        "sample_rate": some_numbers,
        "format": FEW([None, "WAV", "FLAC"]),
        "script": FEW(["", "Latin", "Arabic"]),
        "codes": FEW(["missing", "stale"]),
        "speech": FEW([None, 1.0]),
        "findings": FEW([(), ("clipped",), ("digits",), ("silent", "digits")]),
        "edited": st.booleans(),
    }
)
asked = {
    "speaker": FEW(["anna", "a*", "*a", "*", "[a]", "[*", "a?*", "\udcff", "", "a*a"]),
    "status": FEW(["open", "accepted", "rejected"]),
    "tag": FEW(["a", "b", "ab", "", "A"]),
    "duration": st.builds(Comparison, FEW(list(RELATIONS)), FEW([0.0, 1.0, 2.5])) | st.just(Range(1, 12)),
    "loudness": st.builds(Comparison, FEW(list(RELATIONS)), FEW([-23.0, 0.0])),
    "sample-rate": st.just(Comparison("=", 16_000)),
    "format": FEW(["wav", "FLAC", "mp3"]),
    "script": FEW(["latin", "Arabic", ""]),
    "codes": FEW(["missing", "stale"]),
    "measured": FEW(["yes", "no"]),
    "edited": FEW(["yes", "no"]),
    "finding": FEW(["any", "none", "error", "warning", "info", "clipped", "digits"]),
}


def holds(clip: dict[str, Any], field: str, value: Any) -> bool:
    if isinstance(value, Comparison | Range):
        number = clip[field.replace("-", "_")]
        if isinstance(value, Range):
            return number is not None and value.low <= number <= value.high
        return number is not None and RELATIONS[value.relation](number, value.number)
    if field == "speaker":
        literal = re.sub(r"([\[?])", r"[\1]", value)
        return fnmatch.fnmatchcase(clip["speaker"], literal)
    if field == "tag":
        return bool(value) and value in clip["tags"].strip("|").split("|")
    if field in ("format", "script"):
        return clip[field] is not None and clip[field].lower() == value.lower()
    if field == "measured":
        return (clip["speech"] is not None) == (value == "yes")
    if field == "edited":
        return clip["edited"] == (value == "yes")
    if field == "finding":
        severities = {CHECKS[code].severity for code in clip["findings"]}
        flagged = bool(severities - {Severity.INFO})
        if value in ("any", "none"):
            return flagged == (value == "any")
        return value in clip["findings"] or value.upper() in {severity.name for severity in severities}
    return clip[field] == value


@st.composite
def questions(draw: st.DrawFn) -> Term:
    field = draw(FEW(sorted(asked)))
    return Term(field, tuple(draw(st.lists(asked[field], min_size=1, max_size=2))), draw(st.booleans()))


@given(columns=st.lists(clip_columns, min_size=1, max_size=5), terms=st.lists(questions(), min_size=1, max_size=3))
def test_every_field_selects_matching_clips(
    catalog: sqlite3.Connection, columns: list[dict[str, Any]], terms: list[Term]
) -> None:
    with Clips(catalog) as clips:
        for number, clip in enumerate(columns):
            clips.add(number, **clip)
        expected = {
            number
            for number, clip in enumerate(columns)
            if all(any(holds(clip, term.field, value) for value in term.values) != term.negated for term in terms)
        }
        assert set(clips.select(Query(tuple(terms)))) == expected


def test_a_name_is_found_by_any_part_even_if_not_utf8(catalog: sqlite3.Connection) -> None:
    with Clips(catalog) as clips:
        clips.add(1, name="anna/caf\udce9 1")
        clips.add(2, name="anna/CAF")
        clips.add(3, name="bert/100%_x")
        assert clips.select(Query((Term("name", ("f\udce9",)),))) == [1]
        assert clips.select("name:caf") == [1]
        assert clips.select("name:anna/") == [2, 1]
        assert clips.select("name:%_") == [3]


def test_a_finding_of_a_speaker_counts_for_all_of_its_clips(catalog: sqlite3.Connection) -> None:
    with Clips(catalog) as clips:
        clips.add(1, speaker="anna")
        clips.add(2, speaker="bert")
        catalog.execute("INSERT INTO speakers VALUES ('bert', NULL, '', 'little-audio', 2, '')")
        assert clips.select("finding:little-audio") == [2]


def test_clips_that_have_left_the_disk_are_never_selected(catalog: sqlite3.Connection) -> None:
    with Clips(catalog) as clips:
        clips.add(1)
        clips.add(2, gone=3)
        assert clips.select("") == clips.select("-id:9") == clips.select("id:1,2") == [1]


def test_order(catalog: sqlite3.Connection) -> None:
    with Clips(catalog) as clips:
        for number, (name, duration, loudness) in enumerate(
            [("b", 1.0, None), ("a", 2.0, -20.0), ("d", 1.0, -30.0), ("c", 2.0, None)]
        ):
            clips.add(number, name=name, duration=duration, loudness=loudness)
        assert clips.select("") == [1, 0, 3, 2]
        assert clips.select("sort:duration") == [0, 2, 1, 3]
        assert clips.select("sort:-duration sort:-name") == [3, 1, 2, 0]
        assert clips.select("sort:loudness") == [2, 1, 0, 3]
        assert clips.select("sort:-loudness") == [1, 2, 0, 3]
        assert clips.select("sort:-duration,name") == clips.select("sort:-duration sort:name") == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("text", "field", "descending", "expected"),
    [
        ("", "duration", True, "sort:-duration"),
        ("bread sort:rate sort:name", "duration", False, "bread sort:duration"),
        ("bread sort:rate", "name", False, "bread"),
        ("sort:rate", "name", True, "sort:-name"),
    ],
)
def test_a_new_order_replaces_the_order_of_the_filter(text: str, field: str, descending: bool, expected: str) -> None:
    assert sorted_by(text, field, descending) == expected


def test_a_filter_can_be_restricted_to_open_clips() -> None:
    assert only_open("bread sort:rate") == "bread status:open sort:rate"
