"""Findings in the catalog, kept up to date with clips, measurements and limits."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from fishtui.audio.measure import Measurements, version
from fishtui.audio.probe import Header
from fishtui.catalog.store import Catalog, stored
from fishtui.checkpoint import CheckpointFolder
from fishtui.checks.facts import ClipFacts, GroupFacts
from fishtui.checks.group import median_rates
from fishtui.checks.registry import Finding, codes_of
from fishtui.checks.runner import basis, clip_findings, group_findings, speaker_findings
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT, FAMILIES
from fishtui.memory import without_collecting
from fishtui.reading import parse_json
from fishtui.settings import CheckSettings, Settings

# Clips that one transaction judges.
BATCH = 2000
# The columns that are computed from a clip's codes and transcript by the models chosen in `scores.use_model`. Codes of
# another recording do not show anything about the transcript.
SCORED = """
    gain = CASE WHEN codes_problem = '' AND coalesce(codes_source, audio_hash) IS audio_hash THEN (
        SELECT losses.other_loss - losses.loss FROM losses
        WHERE model = (SELECT value FROM meta WHERE key = 'gain model')
        AND losses.codes_hash = clips.codes_hash AND losses.text = clips.text) END,
    loss = CASE WHEN codes_problem = '' AND coalesce(codes_source, audio_hash) IS audio_hash THEN (
        SELECT losses.loss FROM losses
        WHERE model = (SELECT value FROM meta WHERE key = 'loss model')
        AND losses.codes_hash = clips.codes_hash AND losses.text = clips.text) END
"""
# The columns that are computed from a clip's recording and transcript, and from what recognizers heard.
RECOGNIZED = """
    draft = EXISTS (
        SELECT 1 FROM drafts WHERE drafts.audio_hash = clips.audio_hash AND drafts.text = clips.text),
    disagreement = (
        SELECT disagreement FROM disagreements AS found
        WHERE found.audio_hash = clips.audio_hash AND found.text = clips.text)
"""
# The columns that are computed from a clip's files and measurements.
SETTLE = f"""
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
        FROM (SELECT 1) LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?),
    {SCORED},
    {RECOGNIZED}
WHERE id IN (SELECT value FROM json_each(?))
"""
# The columns that `facts_of` reads.
JUDGED = """
id, name, speaker, files, format, subtype, sample_rate, channels, duration, audio_fault, audio_problem,
text, text_fault, text_problem, text_mark, other_text, codes, codes_problem, disagreement
"""
# The severity of a clip's worst finding, and all of its findings, so that a filter reads no other table:
# `|error:silent|info:digits|`.
SUM_UP = """
UPDATE clips SET (severity, found) = (
    SELECT coalesce(max(severity), 0), coalesce('|' || group_concat(
        CASE severity WHEN 3 THEN 'error' WHEN 2 THEN 'warning' ELSE 'info' END || ':' || code, '|') || '|', '')
    FROM findings WHERE clip = clips.id)
WHERE id IN (SELECT value FROM json_each(?))
"""


def judge_clips(connection: sqlite3.Connection, ids: Sequence[int], settings: Settings) -> None:
    """Renew the computed columns and the findings of these clips, within a transaction."""
    some = json.dumps(list(ids))
    connection.execute(SETTLE, (version(), some))
    rows = connection.execute(
        f"""
        SELECT {JUDGED}, content FROM clips
        LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?
        WHERE id IN (SELECT value FROM json_each(?))
        """,
        (version(), some),
    ).fetchall()
    kind = connection.execute("SELECT value FROM meta WHERE key = 'family'").fetchone()
    titles = {family.title: family for family in FAMILIES.values()}
    family = titles.get(kind[0], DEFAULT) if kind else DEFAULT
    found: list[tuple[int, Finding]] = []
    for row in rows:
        facts = facts_of(row, row["content"], family)
        found += [(row["id"], finding) for finding in clip_findings(facts, settings)]
    # Also those of checks that no longer exist.
    _replace(connection, found, f"NOT IN ({_listed(codes_of('group'))})", some)
    connection.execute(SUM_UP, (some,))
    mark_dirty(connection)


def store_limits(catalog: Catalog, settings: Settings) -> None:
    """Store the limits that clips are judged by, in a catalog that has no clips yet."""
    if catalog.meta("limits") is None and catalog.value("SELECT 1 FROM clips LIMIT 1") is None:
        family = _family(catalog, settings)
        with catalog.transaction() as connection:
            _store(connection, "family", family.title)
            _store(connection, "limits", _limits(settings, family))


def judge_all(catalog: Catalog, settings: Settings) -> None:
    """Renew the findings that compare clips; renew all findings if limits or checks have changed."""
    family = _family(catalog, settings)
    if catalog.meta("limits") != _limits(settings, family):
        ids = [row["id"] for row in catalog.query("SELECT id FROM clips WHERE gone IS NULL")]
        with catalog.transaction() as connection:
            _store(connection, "family", family.title)
        for start in range(0, len(ids), BATCH):
            with catalog.transaction() as connection:
                judge_clips(connection, ids[start : start + BATCH], settings)
        with catalog.transaction() as connection:
            _store(connection, "limits", _limits(settings, family))
    if catalog.meta("dirty") == "1":
        with catalog.transaction() as connection:
            _judge_groups(connection, settings.checks)
            _store(connection, "dirty", "0")


def _family(catalog: Catalog, settings: Settings) -> Family:
    """Return the family of the model that the project trains."""
    return CheckpointFolder(catalog.project.path(settings.paths.checkpoint)).family_or_default


def _limits(settings: Settings, family: Family) -> str:
    return f"{basis(settings, family)} {version()}"


def _store(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def mark_dirty(connection: sqlite3.Connection) -> None:
    """Record that the findings that compare clips have to be renewed."""
    _store(connection, "dirty", "1")


def mark_drafts(connection: sqlite3.Connection, clips: Sequence[int]) -> None:
    """Update which clips have a draft, after the table of drafts has changed. Call it within a transaction."""
    connection.execute(
        f"UPDATE clips SET {RECOGNIZED} WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(clips)),)
    )


def facts_of(row: sqlite3.Row, measured: str | None, family: Family) -> ClipFacts:
    """Return the facts for the checks, from a row of `clips` and its measurements as JSON."""
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
        text_problem=row["text_problem"],
        text_mark=bool(row["text_mark"]),
        other_text=row["other_text"],
        codes=row["codes"],
        codes_problem=row["codes_problem"],
        measured=parse_json(measured, Measurements) if measured else None,
        disagreement=row["disagreement"],
        family=family,
    )


@without_collecting()
def _judge_groups(connection: sqlite3.Connection, limits: CheckSettings) -> None:
    """Renew the findings that compare clips, and the table of speakers; rejected clips do not count."""
    clips = [
        GroupFacts._make(row)
        for row in connection.execute(
            # Before a clip is measured, its rate counts silence too, and cannot be compared.
            """
            SELECT id, name, speaker, duration, CASE WHEN speech AND characters THEN rate END, script,
                coalesce(json_extract(content, '$.sound_hash'), clips.audio_hash), text, gain
            FROM clips LEFT JOIN measurements ON measurements.audio_hash = clips.audio_hash AND version = ?
            WHERE gone IS NULL AND status != 'rejected' ORDER BY name
            """,
            (version(),),
        )
    ]
    found = group_findings(clips, limits)
    codes = f"IN ({_listed(codes_of('group'))})"
    before = {row[0] for row in connection.execute(f"SELECT clip FROM findings WHERE code {codes}")}
    every = json.dumps([row[0] for row in connection.execute("SELECT id FROM clips")])
    _replace(connection, found, codes, every)
    connection.execute(SUM_UP, (json.dumps(sorted(before | {clip for clip, _ in found})),))
    _store_speakers(connection, clips, limits)


def _store_speakers(connection: sqlite3.Connection, clips: Sequence[GroupFacts], limits: CheckSettings) -> None:
    """Renew the table of speakers."""
    rates = median_rates(clips)
    scripts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        scripts[clip.speaker][clip.script] += 1
    found = speaker_findings(clips, limits)
    connection.execute("DELETE FROM speakers")
    for speaker, counts in scripts.items():
        finding = found.get(speaker)
        connection.execute(
            "INSERT INTO speakers VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?)",
            (
                stored(speaker),
                rates.get(speaker),
                counts.most_common(1)[0][0],
                finding and finding.code,
                int(finding.severity) if finding else 0,
                finding.detail if finding else "",
            ),
        )


def _replace(connection: sqlite3.Connection, found: Iterable[tuple[int, Finding]], codes: str, ids: str) -> None:
    """Replace the findings of the clips in the JSON list `ids` whose code meets the SQL condition `codes`."""
    connection.execute(
        f"""
        DELETE FROM findings WHERE code {codes}
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
