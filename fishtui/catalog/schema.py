"""The catalog's tables, as migrations that are applied in order, each completely or not at all.

Only an out-of-date catalog needs this module, because it imports sqlite-utils, which takes time to load.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from fishtui.catalog.hashes import hash_start

migrations = Migrations("catalog")


@migrations(name="0001")
def _first(database: Database) -> None:
    """Create the tables of clips, measurements, findings, speakers and history.

    Names are the file system's bytes, which need not be UTF-8. A clip with decisions that has left the disk keeps its
    row; `gone` is the number of the scan that did not find it. If its recording was replaced or removed, `lost` is the
    number of the scan that found that, and `lost_hash` the hash of the former recording. `born` is the number of the
    scan that found the current recording.
    """
    run = database.execute
    run("CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    run(
        """
        CREATE TABLE clips(
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            speaker TEXT NOT NULL,
            files TEXT NOT NULL,
            audio_size INTEGER,
            audio_modified INTEGER,
            audio_hash TEXT,
            format TEXT,
            subtype TEXT,
            sample_rate INTEGER,
            channels INTEGER,
            duration REAL,
            audio_fault TEXT NOT NULL DEFAULT '',
            audio_problem TEXT NOT NULL DEFAULT '',
            text_size INTEGER,
            text_modified INTEGER,
            text TEXT,
            text_fault TEXT NOT NULL DEFAULT '',
            text_mark INTEGER NOT NULL DEFAULT 0,
            folded TEXT NOT NULL DEFAULT '',
            script TEXT NOT NULL DEFAULT '',
            characters INTEGER NOT NULL DEFAULT 0,
            codes_size INTEGER,
            codes_modified INTEGER,
            codes TEXT NOT NULL DEFAULT 'missing',
            codes_problem TEXT NOT NULL DEFAULT '',
            codes_hash TEXT,
            codes_source TEXT,
            frames INTEGER,
            status TEXT NOT NULL DEFAULT 'open',
            reviewer TEXT NOT NULL DEFAULT '',
            reviewed TEXT NOT NULL DEFAULT '',
            note TEXT NOT NULL DEFAULT '',
            tags TEXT NOT NULL DEFAULT '',
            severity INTEGER NOT NULL DEFAULT 0,
            found TEXT NOT NULL DEFAULT '',
            speech REAL,
            rate REAL,
            loudness REAL,
            snr REAL,
            born INTEGER NOT NULL,
            gone INTEGER,
            lost INTEGER,
            lost_hash TEXT
        )
        """
    )
    run("CREATE INDEX clips_by_audio ON clips(audio_hash)")
    # All columns that filters and sorts use, in the order of the names, so that they need not read whole rows. There is
    # only one index like this: with two, the planner sometimes chooses the slower one.
    run(
        """
        CREATE INDEX clips_by_facts ON clips(
            gone, name, speaker, status, severity, found, duration, rate, loudness, snr, sample_rate, channels, format,
            script, codes, characters, tags, speech, folded
        )
        """
    )
    run(
        """
        CREATE TABLE measurements(
            audio_hash TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            content TEXT NOT NULL
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE findings(
            clip INTEGER NOT NULL REFERENCES clips(id) ON DELETE CASCADE,
            code TEXT NOT NULL,
            severity INTEGER NOT NULL,
            detail TEXT NOT NULL,
            PRIMARY KEY (clip, code)
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE speakers(
            name TEXT PRIMARY KEY,
            rate REAL,
            script TEXT NOT NULL,
            code TEXT,
            severity INTEGER NOT NULL DEFAULT 0,
            detail TEXT NOT NULL DEFAULT ''
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE history(
            id INTEGER PRIMARY KEY,
            action INTEGER NOT NULL,
            clip INTEGER NOT NULL REFERENCES clips(id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            path TEXT,
            before TEXT NOT NULL,
            after TEXT NOT NULL,
            state TEXT NOT NULL,
            who TEXT NOT NULL,
            time TEXT NOT NULL,
            note TEXT NOT NULL DEFAULT ''
        )
        """
    )
    run("CREATE INDEX history_by_clip ON history(clip)")
    run("CREATE INDEX history_by_action ON history(action)")
    # fishtui folds case itself, in texts and in searches, because SQLite does so only for ASCII.
    run(
        """
        CREATE VIRTUAL TABLE transcripts USING fts5(
            folded, content='clips', content_rowid='id', tokenize='trigram case_sensitive 1'
        )
        """
    )
    run("PRAGMA user_version = 1")


@migrations(name="0002")
def _name_other_texts(database: Database) -> None:
    """Add the name of a second transcript, or of a text with another extension where a transcript is missing."""
    database.execute("ALTER TABLE clips ADD COLUMN other_text TEXT NOT NULL DEFAULT ''")
    database.execute("PRAGMA user_version = 2")


@migrations(name="0003")
def _index_pending(database: Database) -> None:
    """Add indexes of the few entries of the history that a killed process has left unfinished."""
    for state in ("pending", "undoing"):
        database.execute(f"CREATE INDEX history_{state} ON history(action) WHERE state = '{state}'")
    database.execute("PRAGMA user_version = 3")


@migrations(name="0004")
def _watch_files_closely(database: Database) -> None:
    """Add the time of status change and the inode of each file, which differ when its time of change was set back."""
    for part in ("audio", "text", "codes"):
        for name in ("changed", "inode"):
            database.execute(f"ALTER TABLE clips ADD COLUMN {part}_{name} INTEGER")
    database.execute("PRAGMA user_version = 4")


@migrations(name="0005")
def _index_states(database: Database) -> None:
    """Index the history by state first, so that unfinished entries and the newest done one are found at once."""
    for name in ("pending", "undoing", "by_action"):
        database.execute(f"DROP INDEX IF EXISTS history_{name}")
    database.execute("CREATE INDEX history_by_state ON history(state, action)")
    database.execute("PRAGMA user_version = 5")


@migrations(name="0006")
def _index_few(database: Database) -> None:
    """Index the few clips that each scan looks for: those that are gone or lost, and codes without a source."""
    for name in ("gone", "lost"):
        database.execute(f"CREATE INDEX clips_{name} ON clips({name}) WHERE {name} IS NOT NULL")
    database.execute("CREATE INDEX clips_given ON clips(codes) WHERE codes = 'given'")
    database.execute("PRAGMA user_version = 6")


@migrations(name="0007")
def _name_encodings(database: Database) -> None:
    """Add what is known of a transcript that is not UTF-8."""
    database.execute("ALTER TABLE clips ADD COLUMN text_problem TEXT NOT NULL DEFAULT ''")
    database.execute("PRAGMA user_version = 7")


@migrations(name="0008")
def _trace_sources(database: Database) -> None:
    """Add the long recordings that clips were cut from, and the place of each cut.

    A cut is the property of its content, like measurements: copies and renamed clips share it, and a clip whose former
    content is restored has the former place again. Recordings with the same sound have cuts with the same content.
    Start and end are in seconds from the beginning of the source; `channel` counts from 0, and is -1 for all channels.
    """
    run = database.execute
    run(
        """
        CREATE TABLE sources(
            hash TEXT PRIMARY KEY,
            path TEXT NOT NULL,
            size INTEGER NOT NULL,
            modified INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            seconds REAL NOT NULL
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE cuts(
            audio_hash TEXT NOT NULL,
            source TEXT NOT NULL,
            start REAL NOT NULL,
            "end" REAL NOT NULL,
            channel INTEGER NOT NULL,
            PRIMARY KEY (audio_hash, source, start, channel)
        ) WITHOUT ROWID
        """
    )
    run("CREATE INDEX cuts_by_source ON cuts(source, start)")
    run("PRAGMA user_version = 8")


@migrations(name="0009")
def _shorten_hashes(database: Database) -> None:
    """Index the beginning of each audio hash, which is enough to find a clip.

    Hashes come in random order, so each new clip changes another page of this index. With whole hashes, a million clips
    have 4,600 pages, and a new clip costs a third more than among ten thousand.
    """
    database.execute("DROP INDEX clips_by_audio")
    database.execute(f"CREATE INDEX clips_by_audio ON clips({hash_start('audio_hash')})")
    database.execute("PRAGMA user_version = 9")


@migrations(name="0010")
def _score_transcripts(database: Database) -> None:
    """Add losses of language models, and of each clip the gain by its own transcript and the loss of a tuned model.

    A loss belongs to codes and a transcript, so a clip whose former content is restored has its former loss again.
    """
    run = database.execute
    run(
        """
        CREATE TABLE losses(
            model TEXT NOT NULL,
            codes_hash TEXT NOT NULL,
            text TEXT NOT NULL,
            loss REAL NOT NULL,
            other TEXT,
            other_loss REAL,
            PRIMARY KEY (model, codes_hash, text)
        ) WITHOUT ROWID
        """
    )
    for name in ("gain", "loss"):
        run(f"ALTER TABLE clips ADD COLUMN {name} REAL")
    run("DROP INDEX clips_by_facts")
    run(
        """
        CREATE INDEX clips_by_facts ON clips(
            gone, name, speaker, status, severity, found, duration, rate, loudness, snr, sample_rate, channels, format,
            script, codes, characters, tags, speech, gain, loss, folded
        )
        """
    )
    run("PRAGMA user_version = 10")


@migrations(name="0011")
def _mark_drafts(database: Database) -> None:
    """Add what recognizers heard, which transcripts are drafts of theirs, and how far others differ from it.

    All belong to the content of a recording and a transcript: a clip is a draft again when its edit is undone.
    """
    run = database.execute
    run(
        """
        CREATE TABLE recognitions(
            audio_hash TEXT PRIMARY KEY,
            identity TEXT NOT NULL,
            recognizer TEXT NOT NULL,
            model TEXT NOT NULL,
            language TEXT NOT NULL,
            heard TEXT NOT NULL,
            confidence REAL
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE disagreements(
            audio_hash TEXT NOT NULL,
            text TEXT NOT NULL,
            disagreement REAL,
            PRIMARY KEY (audio_hash, text)
        ) WITHOUT ROWID
        """
    )
    run(
        """
        CREATE TABLE drafts(
            audio_hash TEXT NOT NULL,
            text TEXT NOT NULL,
            recognizer TEXT NOT NULL,
            model TEXT NOT NULL,
            confidence REAL,
            PRIMARY KEY (audio_hash, text)
        ) WITHOUT ROWID
        """
    )
    run("ALTER TABLE clips ADD COLUMN draft INTEGER NOT NULL DEFAULT 0")
    run("ALTER TABLE clips ADD COLUMN disagreement REAL")
    run("DROP INDEX clips_by_facts")
    run(
        """
        CREATE INDEX clips_by_facts ON clips(
            gone, name, speaker, status, severity, found, duration, rate, loudness, snr, sample_rate, channels, format,
            script, codes, characters, tags, speech, gain, loss, draft, disagreement, folded
        )
        """
    )
    run("PRAGMA user_version = 11")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date; if two processes do so at once, the second has nothing to do."""
    migrations.apply(Database(connection))
