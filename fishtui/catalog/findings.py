"""Findings in the catalog, kept in step with clips, measurements and limits."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from fishtui.audio.measure import VERSION as MEASURED_VERSION
from fishtui.audio.measure import Measurements
from fishtui.audio.probe import Header
from fishtui.catalog.store import Catalog, stored
from fishtui.checks import group
from fishtui.checks.facts import ClipFacts
from fishtui.checks.runner import PER_CLIP, basis, clip_findings
from fishtui.checks.table import CHECKS, Finding
from fishtui.settings import CheckSettings, Settings

GROUP_CODES = ("rate-outlier", "foreign-script", "duplicate-audio", "similar-transcript")
# Clips that are judged at once.
BATCH = 2000
# What follows from a clip's parts and the measurements of its audio.
SETTLE = """
UPDATE clips SET
    codes = CASE
        WHEN codes_size IS NULL THEN 'missing'
        WHEN codes_problem != '' THEN 'invalid'
        WHEN codes_source IS NULL THEN 'given'
        WHEN codes_source = audio_hash THEN 'current'
        ELSE 'stale' END,
    (speech, loudness, snr, rate) = (
        SELECT content ->> 'speech', content ->> 'loudness', content ->> 'snr',
            nullif(characters, 0) / coalesce(nullif(content ->> 'speech', 0), nullif(duration, 0))
        FROM (SELECT 1) LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?)
WHERE id IN (SELECT value FROM json_each(?))
"""
# What `facts_of` reads of a clip.
JUDGED = """
id, name, speaker, files, format, subtype, sample_rate, channels, duration, audio_fault, audio_problem,
text, text_fault, text_mark, codes, codes_problem
"""
# The worst finding of a clip and, lest filters look elsewhere, all of them: `|error:silent|info:digits|`.
SUM_UP = """
UPDATE clips SET (severity, found) = (
    SELECT coalesce(max(severity), 0), coalesce('|' || group_concat(
        CASE severity WHEN 3 THEN 'error' WHEN 2 THEN 'warning' ELSE 'info' END || ':' || code, '|') || '|', '')
    FROM findings WHERE clip = clips.id)
WHERE id IN (SELECT value FROM json_each(?))
"""


def judge_clips(connection: sqlite3.Connection, ids: Sequence[int], settings: Settings) -> None:
    """Renew, within a transaction, what follows from the parts of these clips: derived columns and findings."""
    some = json.dumps(list(ids))
    connection.execute(SETTLE, (MEASURED_VERSION, some))
    rows = connection.execute(
        f"""
        SELECT {JUDGED}, content FROM clips
        LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?
        WHERE id IN (SELECT value FROM json_each(?))
        """,
        (MEASURED_VERSION, some),
    ).fetchall()
    found: list[tuple[int, Finding]] = []
    for row in rows:
        facts = facts_of(row, row["content"])
        found += [(row["id"], finding) for finding in clip_findings(facts, settings)]
    _replace(connection, found, PER_CLIP, some)
    connection.execute(SUM_UP, (some,))
    mark_dirty(connection)


def note_limits(catalog: Catalog, settings: Settings) -> None:
    """Tell a catalog that holds no clips yet by which limits they will be judged."""
    if catalog.meta("limits") is None and catalog.value("SELECT 1 FROM clips LIMIT 1") is None:
        with catalog.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('limits', ?)", (_limits(settings),))


def judge_all(catalog: Catalog, settings: Settings) -> None:
    """Renew the findings that depend on other clips, and all of them if the limits have changed since the last time."""
    if catalog.meta("limits") != _limits(settings):
        ids = [row["id"] for row in catalog.query("SELECT id FROM clips WHERE gone IS NULL")]
        for start in range(0, len(ids), BATCH):
            with catalog.transaction() as connection:
                judge_clips(connection, ids[start : start + BATCH], settings)
        with catalog.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('limits', ?)", (_limits(settings),))
    if catalog.meta("dirty") == "1":
        with catalog.transaction() as connection:
            _judge_groups(connection, settings.checks)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('dirty', '0')")


def _limits(settings: Settings) -> str:
    return f"{basis(settings)} {MEASURED_VERSION}"


def mark_dirty(connection: sqlite3.Connection) -> None:
    """Remember that findings which depend on other clips have to be renewed."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('dirty', '1')")


def facts_of(row: sqlite3.Row, measured: str | None) -> ClipFacts:
    """What the checks look at, from a row of `clips` and the content of its measurement."""
    header = None
    if row["format"] is not None:
        frames = round(row["duration"] * row["sample_rate"])
        header = Header(row["format"], row["subtype"], row["sample_rate"], row["channels"], frames)
    return ClipFacts(
        name=row["name"],
        speaker=row["speaker"],
        files=tuple(row["files"].split("/")) if row["files"] else (),
        header=header,
        audio_fault=row["audio_fault"],
        audio_problem=row["audio_problem"],
        text=row["text"],
        text_fault=row["text_fault"],
        text_mark=bool(row["text_mark"]),
        codes=row["codes"],
        codes_problem=row["codes_problem"],
        measured=msgspec.json.decode(measured, type=Measurements) if measured else None,
    )


def _judge_groups(connection: sqlite3.Connection, limits: CheckSettings) -> None:
    """Renew the findings of clips beside others; rejected clips count no more."""
    rows = connection.execute(
        """
        SELECT id, name, speaker, script, rate, speech, duration, text, characters,
            coalesce(json_extract(content, '$.sound_hash'), clips.audio_hash) AS sound
        FROM clips LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?
        WHERE gone IS NULL AND status != 'rejected' ORDER BY name
        """,
        (MEASURED_VERSION,),
    ).fetchall()
    # Before it is measured a clip's rate counts silence too, and tells nothing.
    rates = [(row["id"], row["speaker"], row["rate"]) for row in rows if row["speech"] and row["characters"]]
    scripts = [(row["id"], row["speaker"], row["script"]) for row in rows if row["script"]]
    per_code = {
        "rate-outlier": group.rate_outliers(rates, limits),
        "foreign-script": group.foreign_scripts(scripts, limits),
        "duplicate-audio": group.duplicate_audio(
            (row["id"], row["name"], row["sound"]) for row in rows if row["sound"]
        ),
        "similar-transcript": group.similar_transcripts(
            ((row["id"], row["speaker"], row["name"], row["text"]) for row in rows if row["text"]), limits
        ),
    }
    found = [
        (clip, Finding(code, detail))
        for code, details in per_code.items()
        if code not in limits.ignore
        for clip, detail in details.items()
    ]
    before = {row[0] for row in connection.execute(f"SELECT clip FROM findings WHERE code IN ({_listed(GROUP_CODES)})")}
    everyone = json.dumps([row[0] for row in connection.execute("SELECT id FROM clips")])
    _replace(connection, found, GROUP_CODES, everyone)
    connection.execute(SUM_UP, (json.dumps(sorted(before | {clip for clip, _ in found})),))
    _summarize(connection, rows, rates, limits)


def _summarize(
    connection: sqlite3.Connection,
    rows: Sequence[sqlite3.Row],
    rates: Sequence[tuple[int, str, float]],
    limits: CheckSettings,
) -> None:
    """Renew the table of speakers."""
    seconds: dict[str, float] = defaultdict(float)
    for row in rows:
        seconds[row["speaker"]] += row["duration"] or 0.0
    medians = group.median_rates(rates)
    scripts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        scripts[row["speaker"]][row["script"]] += 1
    little = {} if "little-audio" in limits.ignore else group.little_audio(seconds.items(), limits)
    connection.execute("DELETE FROM speakers")
    connection.executemany(
        "INSERT INTO speakers VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?)",
        (
            (
                stored(speaker),
                medians.get(speaker),
                scripts[speaker].most_common(1)[0][0],
                "little-audio" if speaker in little else None,
                int(CHECKS["little-audio"].severity) if speaker in little else 0,
                little.get(speaker, ""),
            )
            for speaker in seconds
        ),
    )


def _replace(
    connection: sqlite3.Connection, found: Iterable[tuple[int, Finding]], codes: Iterable[str], ids: str
) -> None:
    """Make `found` all the findings of those codes that the clips in the JSON list `ids` have."""
    connection.execute(
        f"""
        DELETE FROM findings WHERE code IN ({_listed(codes)})
        AND clip IN (SELECT id FROM clips WHERE id IN (SELECT value FROM json_each(?)) AND found != '')
        """,
        (ids,),
    )
    connection.executemany(
        "INSERT INTO findings VALUES (?, ?, ?, CAST(? AS TEXT))",
        ((clip, finding.code, int(finding.severity), stored(finding.detail)) for clip, finding in found),
    )


def _listed(codes: Iterable[str]) -> str:
    return ",".join(f"'{code}'" for code in codes)
