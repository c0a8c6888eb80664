"""`fishtui clips`: list and show clips, and review, edit and repair them by name or filter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fishtui import glyphs, wording
from fishtui.catalog.fields import FIELDS, split_tags
from fishtui.checks.registry import fixable
from fishtui.cli import clipcuts
from fishtui.cli.completers import clip_names, filter_terms
from fishtui.cli.options import Command, ListingGroup, SignedCommand, limited, shared
from fishtui.cli.session import Session

if TYPE_CHECKING:
    import sqlite3

    from fishtui.catalog.store import Catalog

MOST_LISTED = 10
FILE = click.Path(dir_okay=False, path_type=Path)
LISTED = (
    *("id", "name", "speaker", "status", "severity", "duration", "loudness", "rate", "snr", "gain", "loss"),
    "disagreement",
    *("format", "sample_rate", "channels", "codes", "text", "tags", "note"),
)
# Figures of a clip that only a list sorted by them shows.
ORDERED = ("snr", "gain", "loss", "disagreement", "characters")
ALL_FIELDS = [(each.name, each.help) for each in FIELDS.values()]
FIELD_HELP = ("Fields of a FILTER, most of which sort:FIELD takes too", ALL_FIELDS)


@click.group(cls=ListingGroup, invoke_without_command=True, listed=FIELD_HELP)
@click.pass_context
def clips(context: click.Context) -> int | None:
    """List, search, review, edit and repair clips.

    \b
    A FILTER is one or more terms; clips must match all of them:
      speaker:SPK1  duration:>12  duration:2..5  finding:clipped  finding:any
      status:open,rejected  tag:loud  text:"so far"  -finding:noisy
      sort:-duration

    Words without a field are searched in the transcripts. An ID is the number that `list` shows, or the clip's name. A
    review is open (not yet done), accepted or rejected.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return None


for _command in (clipcuts.move, clipcuts.split, clipcuts.merge):
    clips.add_command(_command)


def chosen(command: Command) -> Command:
    """Give a command IDs and --where, one of which is required."""
    command = click.option("--where", metavar="FILTER", help="All clips that match FILTER, instead of IDs.")(command)
    return click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=clip_names)(command)


@clips.command("list", cls=SignedCommand)
@click.argument("terms", nargs=-1, metavar="[FILTER]", shell_complete=filter_terms)
@limited
@shared(dry_run=False)
def list_clips(session: Session, terms: tuple[str, ...], limit: int) -> int:
    """List the clips that match FILTER.

    The order is by name; a term sort:FIELD changes it.
    """
    return _list(session, " ".join(terms), limit)


@clips.command()
@click.argument("text")
@limited
@shared(dry_run=False)
def search(session: Session, text: str, limit: int) -> int:
    """List clips whose transcript contains TEXT.

    Works in any script; upper and lower case are the same.
    """
    from fishtui.catalog.filter import Query, Term

    return _list(session, str(Query((Term("text", (text,)),))), limit)


@clips.command()
@click.argument("id", shell_complete=clip_names)
@shared(dry_run=False)
def show(session: Session, id: str) -> int:
    """Show everything about a clip.

    Files, measurements, transcript, findings with remedies, reviews and edits.
    """
    from fishtui.catalog import lookup, report
    from fishtui.catalog.actions import clip_row
    from fishtui.catalog.history import history_of
    from fishtui.catalog.measurements import measurements_of
    from fishtui.catalog.recognitions import recognized_clip
    from fishtui.catalog.scores import scored_clip
    from fishtui.checks.registry import Severity
    from fishtui.cli import output
    from fishtui.cli.clipdetails import write_details

    with session.catalog(must_exist=True) as catalog:
        clip = lookup.resolve_ids(catalog, [id])[0]
        row = clip_row(catalog, clip)
        found = report.of_clip(catalog, clip)
        history = history_of(catalog, clip)
        measured = measurements_of(catalog, row["audio_hash"])
        scored, recognized = scored_clip(catalog, clip), recognized_clip(catalog, row)
    if session.as_json:
        content = _as_dict(row) | {
            "files": row["files"].split("/") if row["files"] else [],
            "audio_sha256": row["audio_hash"],
            "measurements": measured,
            "findings": [
                {"code": each.code, "severity": Severity(each.severity).name.lower(), "detail": each.detail}
                for each in found
            ],
            **recognized.as_dict(),
            "history": history,
        }
        output.document(content)
        return 0
    write_details(row, found, measured, scored, recognized, history)
    return 0


@clips.command()
@chosen
@click.option("--note", help="Reason, kept with the review.")
@shared()
def accept(session: Session, ids: tuple[str, ...], where: str | None, note: str | None) -> int:
    """Accept clips after listening to them.

    An accepted clip with an error is still left out of training.
    """
    return _review(session, ids, where, "accepted", note)


@clips.command()
@chosen
@click.option("--note", help="Reason, kept with the review.")
@shared()
def reject(session: Session, ids: tuple[str, ...], where: str | None, note: str | None) -> int:
    """Reject clips, so that stages leave them out.

    Their files are kept.
    """
    return _review(session, ids, where, "rejected", note)


@clips.command()
@chosen
@shared()
def reopen(session: Session, ids: tuple[str, ...], where: str | None) -> int:
    """Open the review of clips again."""
    return _review(session, ids, where, "open", "")


@clips.command()
@click.argument("id", shell_complete=clip_names)
@click.option("--text", help="New transcript (default: open your editor).")
@shared()
def edit(session: Session, id: str, text: str | None) -> int:
    """Change a clip's transcript.

    `fishtui clips undo` restores the earlier transcript.
    """
    from fishtui.catalog import lookup
    from fishtui.catalog.actions import current_transcript, edit
    from fishtui.catalog.findings import judge_all
    from fishtui.errors import MisuseError

    settings = session.settings.values
    with session.catalog(must_exist=True) as catalog:
        clip = lookup.resolve_ids(catalog, [id])[0]
        if text is None:
            try:
                text = click.edit(current_transcript(catalog, settings, clip), extension=".txt")
            except (ValueError, OSError) as error:
                raise MisuseError(
                    f"the editor failed: {error}", "Check $EDITOR, or give --text.", code="editor-failed"
                ) from error
            # Editors add line ends, but a transcript is one line.
            text = " ".join(text.split("\n")).strip() if text is not None else None
        changed = text is not None and edit(catalog, settings, clip, text, session.dry_run)
        judge_all(catalog, settings)
    return _report(session, "edited", int(changed))


@clips.command()
@chosen
@shared()
def undo(session: Session, ids: tuple[str, ...], where: str | None) -> int:
    """Undo the last action, or the last change of some clips.

    With IDs or --where, undoes the last change of each of these clips; otherwise the last action, with all its clips.
    Files get their original bytes back.
    """
    from fishtui.catalog.actions import undo, undoable
    from fishtui.catalog.findings import judge_all
    from fishtui.catalog.history import describe
    from fishtui.cli import output

    settings = session.settings.values
    with session.catalog(must_exist=True) as catalog:
        chosen = _chosen(catalog, ids, where) if ids or where is not None else None
        entries = undoable(catalog, chosen)
        listed = [describe(catalog, entry) for entry in entries[:MOST_LISTED]]
        if not session.dry_run:
            undo(catalog, settings, chosen)
            judge_all(catalog, settings)
    if not session.as_json:
        for entry in listed:
            output.line(f"  {entry}")
        if len(entries) > MOST_LISTED:
            output.line(f"  … and {len(entries) - MOST_LISTED:,} more")
    return _report(session, "undone", len({entry["clip"] for entry in entries}))


@clips.command()
@chosen
@click.option("--add", multiple=True, metavar="TAG", help="Tag to add; repeatable.")
@click.option("--remove", multiple=True, metavar="TAG", help="Tag to remove; repeatable.")
@shared()
def tag(
    session: Session, ids: tuple[str, ...], where: str | None, add: tuple[str, ...], remove: tuple[str, ...]
) -> int:
    """Add tags to clips, or remove tags."""
    from fishtui.catalog.actions import tag
    from fishtui.errors import MisuseError

    if not add and not remove:
        raise MisuseError("no tag given", "Give --add TAG or --remove TAG.", code="missing-option")
    with session.catalog(must_exist=True) as catalog:
        chosen = _chosen(catalog, ids, where)
        count = len(chosen) if session.dry_run else tag(catalog, chosen, add, remove)
    return _report(session, "tagged", count)


def _repairs(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    return [each for each in fixable() if each.startswith(typed)]


@clips.command(epilog=f"Checks with a repair: {', '.join(fixable())}.")
@click.argument("code", metavar="CHECK", shell_complete=_repairs)
@chosen
@shared()
def fix(session: Session, code: str, ids: tuple[str, ...], where: str | None) -> int:
    """Repair the clips that have a finding of CHECK.

    Repairs all of them, or those with IDs or --where. `fishtui clips undo` restores the earlier content of each file.
    """
    from fishtui.catalog.findings import judge_all
    from fishtui.catalog.fixing import fix
    from fishtui.catalog.measurements import measure_clips
    from fishtui.checks.registry import repair_for
    from fishtui.cli import output
    from fishtui.cli.progress import watching
    from fishtui.errors import PARTIAL

    # Checked before the catalog is opened.
    repair_for(code)
    settings = session.settings.values
    with session.catalog(must_exist=True) as catalog:
        # Find them with the current limits.
        judge_all(catalog, settings)
        chosen = _chosen(catalog, ids, where if ids or where is not None else f"finding:{code}")
        with watching("fix") as reporter:
            ledger = fix(catalog, settings, reporter, code, chosen, session.dry_run)
            if not session.dry_run:
                measure_clips(
                    catalog, settings, reporter, "id IN (SELECT value FROM json_each(?))", [json.dumps(chosen)]
                )
    if session.as_json:
        output.document(ledger.as_dict())
    else:
        output.ledger(ledger.as_dict(), verb="would be repaired" if session.dry_run else "repaired")
    return PARTIAL if ledger.failed else 0


@clips.command("export-reviews")
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace an earlier export in FILE.")
@shared()
def export_reviews(session: Session, file: Path, force: bool) -> int:
    """Write reviews, tags, edits, drafts and cuts to FILE.

    They are the part of the catalog that no command can rebuild, as JSON Lines. `scan`, `score` (gain and loss) and
    `transcribe` compute the rest again.
    """
    from fishtui.catalog.backup import export_reviews

    with session.catalog(must_exist=True) as catalog:
        count = export_reviews(catalog, file, session.dry_run, force)
    return _report(session, "written", count)


@clips.command("import-reviews")
@click.argument("file", type=FILE)
@shared()
def import_reviews(session: Session, file: Path) -> int:
    """Read reviews, tags, edits, drafts and cuts from FILE.

    FILE was written by `fishtui clips export-reviews`. Each line applies to the clip of that name, or else to a clip
    with the same audio.
    """
    from fishtui.catalog.backup import import_reviews
    from fishtui.cli import output
    from fishtui.errors import PARTIAL

    with session.catalog(must_exist=True) as catalog:
        ledger = import_reviews(catalog, file, session.dry_run)
    output.document(ledger.as_dict()) if session.as_json else output.ledger(ledger.as_dict(), verb="imported")
    return PARTIAL if ledger.failed else 0


def _list(session: Session, filter: str, limit: int) -> int:
    from fishtui.catalog import lookup
    from fishtui.catalog.filter import parse
    from fishtui.cli import output

    with session.catalog(must_exist=True) as catalog:
        total, rows = lookup.find_page(catalog, filter, limit or -1)
    if session.as_json:
        output.document({"total": total, "clips": [_as_dict(row) for row in rows]})
        return 0
    # The figure that the clips are sorted by, if no other column shows it.
    orders = [each.field for each in parse(filter).sort if each.field in ORDERED]
    table = [
        [
            str(row["id"]),
            glyphs.clip_signs(row["status"], row["severity"], row["draft"]),
            row["name"],
            wording.seconds(row["duration"]),
            wording.number(row["loudness"]),
            wording.number(row["rate"]),
            *("·" if row[field] is None else f"{row[field]:.3g}" for field in orders),
            (row["text"] or "").strip(),
        ]
        for row in rows
    ]
    headings = ["ID", "", "CLIP", "TIME", "LUFS", "RATE", *(field.upper() for field in orders), "TRANSCRIPT"]
    last = len(headings) - 1
    output.table(table, headings, right={0, *range(3, last)}, stretch=last)
    if len(rows) < total:
        output.line(f"{len(rows):,} of {total:,} clips; --limit 0 shows all")
    else:
        output.line(wording.counted(total, "clip"))
    return 0


def _review(session: Session, ids: tuple[str, ...], where: str | None, status: str, note: str | None) -> int:
    from fishtui.catalog.actions import review

    with session.catalog(must_exist=True) as catalog:
        chosen = _chosen(catalog, ids, where)
        # The next scan updates the findings of other clips, such as duplicates.
        count = len(chosen) if session.dry_run else review(catalog, chosen, status, note)
    return _report(session, "reopened" if status == "open" else status, count)


def _chosen(catalog: Catalog, ids: tuple[str, ...], where: str | None) -> list[int]:
    from fishtui.catalog import lookup
    from fishtui.errors import MisuseError

    if bool(ids) == (where is not None):
        raise MisuseError(
            "IDs with --where" if ids else "no clips given",
            "Give either IDs or --where FILTER; --where '' selects every clip.",
            code="choose-one",
        )
    return lookup.resolve_ids(catalog, ids) if where is None else list(lookup.find_ids(catalog, where))


def _report(session: Session, verb: str, count: int) -> int:
    from fishtui.cli import output

    if session.as_json:
        output.document({"action": verb, "clips": count, "dry_run": session.dry_run})
    else:
        output.line(f"{wording.counted(count, 'clip')} {'would be ' * session.dry_run}{verb}")
    return 0


def _as_dict(row: sqlite3.Row) -> dict[str, Any]:
    from fishtui.checks.registry import Severity

    content = {name: row[name] for name in LISTED}
    severity = Severity(row["severity"]).name.lower() if row["severity"] else None
    draft = bool(row["draft"]) and row["status"] != "accepted"
    return content | {"severity": severity, "tags": split_tags(row["tags"]), "draft": draft}
