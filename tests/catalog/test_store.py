"""The catalog's database: damage and full disks are reported, and change nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from fishtui.catalog.lookup import find_rows
from fishtui.catalog.scan import scan
from fishtui.catalog.schema import migrations
from fishtui.catalog.store import VERSION, Catalog, stored
from fishtui.runs.reporter import Reporter
from fishtui.settings import ScanSettings, Settings
from tests.builders import file_size_limit, project, write_clip
from tests.expecting import error_in, failing
from tests.forking import fishtui


def open_catalog(root: Path) -> Catalog:
    return Catalog(project(root), root / "data")


def test_a_damaged_catalog_is_reported_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / ".fishtui" / "catalog.db"
    path.parent.mkdir()
    path.write_bytes(b"this is not a database" * 100)
    with failing("damaged-catalog") as raised:
        open_catalog(tmp_path)
    assert "fishtui scan" in raised.value.remedy
    assert path.read_bytes().startswith(b"this is not")


def test_damage_in_the_middle_is_reported(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog, catalog.transaction() as connection:
        connection.executemany(
            "INSERT INTO clips(name, speaker, files, born) VALUES (?, 's', '', 1)", ((str(i),) for i in range(2000))
        )
    (tmp_path / "data").mkdir()
    path = tmp_path / ".fishtui" / "catalog.db"
    content = bytearray(path.read_bytes())
    content[8192:-8192] = b"\xa5" * (len(content) - 16384)
    path.write_bytes(content)
    result = fishtui("clips", "list", "--json", cwd=tmp_path)
    assert result.returncode == 1
    assert error_in(result.stdout)["code"] == "damaged-catalog"
    assert "Traceback" not in result.stderr


def test_a_newer_catalog_is_left_alone(tmp_path: Path) -> None:
    open_catalog(tmp_path).connection.close()
    path = tmp_path / ".fishtui" / "catalog.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with failing("newer-catalog"):
        open_catalog(tmp_path)


def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        with pytest.raises(ZeroDivisionError), catalog.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            1 / 0  # noqa: B018
        assert catalog.meta("a") is None


def test_a_full_disk_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        with catalog.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('before', '1')")
        with (
            file_size_limit(1 << 18),
            failing("cannot-write"),
            catalog.transaction() as connection,
        ):
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", ((str(number), "x" * 1000) for number in range(20_000))
            )
        assert catalog.meta("before") == "1"
        assert catalog.value("SELECT count(*) FROM meta") == 1
        assert catalog.value("PRAGMA integrity_check") == "ok"


def test_names_that_are_not_utf8_are_stored_exactly(tmp_path: Path) -> None:
    name = b"caf\xe9/\xff".decode("utf-8", "surrogateescape")
    with open_catalog(tmp_path) as catalog:
        with catalog.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('name', CAST(? AS TEXT))", (stored(name),))
        assert catalog.meta("name") == name


def test_a_catalog_can_be_created_twice_at_once(tmp_path: Path) -> None:
    first, second = open_catalog(tmp_path), open_catalog(tmp_path)
    with first, second:
        assert first.value("PRAGMA user_version") == second.value("PRAGMA user_version")


def test_a_catalog_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    settings = Settings(scan=ScanSettings(workers=1))
    write_clip(tmp_path / "data" / "anna" / "a.wav", "Hello there.")
    with open_catalog(tmp_path) as catalog:
        scan(catalog, settings, Reporter())
        row = dict(catalog.query("SELECT * FROM clips")[0])
    path = tmp_path / ".fishtui" / "catalog.db"
    path.unlink()
    with sqlite3.connect(path) as connection:
        migrations.apply(Database(connection), stop_before="0008")
        old = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info('clips')")]
        kept = {name: row[name] for name in old} | {"status": "accepted"}
        connection.execute(f"INSERT INTO clips VALUES ({', '.join('?' * len(kept))})", list(kept.values()))
    connection.close()
    with open_catalog(tmp_path) as catalog:
        assert catalog.value("PRAGMA user_version") == VERSION
        assert scan(catalog, settings, Reporter()).changed == 0
        assert dict(catalog.query("SELECT * FROM clips")[0]) == row | {"status": "accepted"}
        for filter in ("status:accepted", "draft:no", "-disagreement:>0", "sort:gain"):
            assert len(find_rows(catalog, filter)) == 1
        assert find_rows(catalog, "draft:yes") == []
