from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import PackSettings, Settings
from fishtui.shards import packed
from fishtui.shards.packed import MANIFEST, STAGING, read_manifest, shard_paths
from fishtui.shards.stream import read_messages, read_sentences
from fishtui.stages import pack as module
from fishtui.stages.pack import pack
from tests.builders import packable, project, snapshot, write_clip, write_codes
from tests.expecting import failing
from tests.golden_data import GOLDEN


def run(root: Path, data: Path | None = None, dry_run: bool = False, **settings):
    settings.setdefault("workers", 1)
    found = project(root)
    return pack(
        found,
        Settings(pack=PackSettings(**settings)),
        Reporter(),
        data=data or root / "data",
        output=root / "data" / "protos",
        dry_run=dry_run,
    )


def test_the_golden_dataset_packs_to_the_golden_sentences(tmp_path: Path) -> None:
    ledger = run(tmp_path, GOLDEN / "protos" / "data")
    wanted = json.loads((GOLDEN / "protos" / "dump.json").read_text(encoding="utf-8"))["files"]
    got = [message for path in shard_paths(tmp_path / "data" / "protos") for message in read_messages(path)]
    records = [record for file in wanted for record in file["records"]]
    assert [(message.source, message.name) for message in got] == [(each["source"], each["name"]) for each in records]
    for message, record in zip(got, records, strict=True):
        sentences = [
            {"texts": list(sentence.texts), "semantics": [list(row.values) for row in sentence.semantics]}
            for sentence in message.sentences
        ]
        assert sentences == record["sentences"]
    assert ledger.done == sum(len(record["sentences"]) for record in records)
    assert {entry.item.rpartition("/")[2] for entry in ledger.skipped} == {"orphan_text", "orphan_codes"}
    assert not ledger.failed


def test_the_manifest_has_the_position_of_each_clip(tmp_path: Path) -> None:
    packable(tmp_path / "data")
    (tmp_path / "data" / "anna" / "00.lab").write_text("A {b}  c\n<d> e", encoding="utf-8")
    ledger = run(tmp_path, shard_size=0.002)
    folder = tmp_path / "data" / "protos"
    paths = shard_paths(folder)
    assert len(paths) == ledger.counts["shards"] > 1
    manifest = read_manifest(folder)
    sentences = list(read_sentences(paths))
    assert len(manifest) == len(sentences) == ledger.done == 24
    for entry, (position, sentence) in zip(manifest, sentences, strict=True):
        assert (entry["shard"], entry["message"], entry["sentence"]) == (
            position.shard,
            position.message,
            position.sentence,
        )
        assert (entry["speaker"], entry["text"], entry["frames"]) == (
            sentence.speaker,
            sentence.text,
            sentence.codes.shape[1],
        )
    assert manifest[0]["text"] == "A c e"
    speakers = {entry["speaker"] for entry in manifest if entry["split"] == "validation"}
    assert speakers == {"anna", "bert"}


def test_letters_and_accents_are_joined_before_packing(tmp_path: Path) -> None:
    """The case text-nfd."""
    packable(tmp_path / "data", ["anna"], clips=3)
    for number, text in enumerate(("Größe und Übermut.", "Tôi không biết nói gì hơn.", "그는 괜찮은 척하려고")):
        path = tmp_path / "data" / "anna" / f"{number:02d}.lab"
        path.write_text(unicodedata.normalize("NFD", text), encoding="utf-8")
    run(tmp_path)
    texts = [entry["text"] for entry in read_manifest(tmp_path / "data" / "protos")]
    assert texts == ["Größe und Übermut.", "Tôi không biết nói gì hơn.", "그는 괜찮은 척하려고"]


def test_shards_and_manifests_of_other_tools_are_not_replaced(tmp_path: Path) -> None:
    packable(tmp_path / "data", ["anna"], clips=3)
    folder = tmp_path / "data" / "protos"
    folder.mkdir()
    for name, content in (("0.protos", b"theirs"), (MANIFEST, b'{"audio_filepath": "a.wav"}\n')):
        path = folder / name
        path.write_bytes(content)
        with failing("output-in-use", MisuseError):
            run(tmp_path)
        assert path.read_bytes() == content
        path.unlink()
    run(tmp_path)
    # A damaged manifest next to shards of fishtui is replaced.
    (folder / MANIFEST).write_text("{}", encoding="utf-8")
    assert run(tmp_path).done == 3


def test_shards_of_another_project_are_not_replaced(tmp_path: Path) -> None:
    def run_in(folder: Path, data: Path) -> Ledger:
        settings = Settings(pack=PackSettings(workers=1))
        return pack(project(folder), settings, Reporter(), data=data, output=tmp_path / "shards")

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    packable(ours / "data", ["anna"], clips=3)
    packable(theirs / "data", ["bert"], clips=2)
    run_in(ours, ours / "data")
    run_in(ours, ours / "data")
    before = snapshot(tmp_path / "shards")
    with failing("output-in-use", MisuseError) as caught:
        run_in(theirs, theirs / "data")
    assert str(ours) in caught.value.problem
    assert snapshot(tmp_path / "shards") == before
    # A project that was moved, or removed, no longer holds them.
    ours.rename(tmp_path / "moved")
    assert run_in(tmp_path / "moved", tmp_path / "moved" / "data").done == 3


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packable(tmp_path / "data")
    run(tmp_path)
    first = snapshot(tmp_path / "data" / "protos")
    run(tmp_path)
    assert snapshot(tmp_path / "data" / "protos") == first
    monkeypatch.setattr(module, "FEW_CLIPS", 0)
    monkeypatch.setattr(module, "CHUNK", 5)
    run(tmp_path, workers=2)
    assert snapshot(tmp_path / "data" / "protos") == first


def test_copies_of_a_held_out_recording_are_held_out_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    packable(data)
    run(tmp_path)
    held_out = [entry["clip"] for entry in read_manifest(data / "protos") if entry["split"] == "validation"]
    for number in range(5):
        for folder in ("anna", "bert"):
            copy = data / folder / f"copy{number}"
            copy.with_suffix(".npy").write_bytes((data / f"{held_out[0]}.npy").read_bytes())
            copy.with_suffix(".lab").write_text(f"Copy {number}.", encoding="utf-8")
    run(tmp_path)
    after = {entry["clip"]: entry["split"] for entry in read_manifest(data / "protos")}
    copies = {clip for clip in after if "copy" in clip}
    assert len(copies) == 10
    assert {after[clip] for clip in copies | set(held_out)} == {"validation"}
    assert "train" in after.values()


def test_validation_stays_when_clips_are_added(tmp_path: Path) -> None:
    packable(tmp_path / "data")
    run(tmp_path)
    before = {entry["clip"]: entry["split"] for entry in read_manifest(tmp_path / "data" / "protos")}
    packable(tmp_path / "data", clips=60)
    run(tmp_path)
    after = {entry["clip"]: entry["split"] for entry in read_manifest(tmp_path / "data" / "protos")}
    assert len(after) == 120
    assert {clip: after[clip] for clip, split in before.items() if split == "validation"} == {
        clip: split for clip, split in before.items() if split == "validation"
    }


def test_each_incomplete_clip_is_in_the_ledger(tmp_path: Path) -> None:
    data = tmp_path / "data"
    packable(data, ["anna"])
    write_clip(data / "anna" / "mute.wav", None)
    write_codes(data / "anna" / "mute.npy")
    write_clip(data / "anna" / "uncoded.wav")
    (data / "anna" / "00.lab").write_bytes(b" \n")
    (data / "anna" / "01.lab").write_bytes("Grüße".encode("latin-1"))
    (data / "anna" / "02.lab").write_text("{laughs} <noise>", encoding="utf-8")
    write_clip(data / "anna" / "03.wav")
    (data / "anna" / "03.npy").write_bytes(b"junk")
    (data / "anna" / "04.lab").write_bytes(b"\xef\xbb\xbfWith a mark.")
    ledger = run(tmp_path)
    assert {entry.item: entry.reason.partition(":")[0] for entry in ledger.failed} == {
        "anna/mute": "missing-transcript",
        "anna/uncoded": "no codes",
        "anna/00": "empty-transcript",
        "anna/01": "not-utf8",
        "anna/02": "empty-transcript",
        "anna/03": "the codes are damaged",
    }
    assert (ledger.done, ledger.total) == (8, 14)
    texts = [entry["text"] for entry in read_manifest(data / "protos")]
    assert "With a mark." in texts


def test_old_shards_stay_until_the_new_ones_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packable(tmp_path / "data")
    run(tmp_path, shard_size=0.001)
    folder = tmp_path / "data" / "protos"
    before = snapshot(folder)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_manifest", fail)
        with failing("cannot-write"):
            run(tmp_path)
    assert {name: content for name, content in snapshot(folder).items() if not name.startswith(STAGING)} == before
    assert len(shard_paths(folder)) > 1
    run(tmp_path)
    assert sorted(snapshot(folder)) == ["00000000.protos", MANIFEST]


def test_an_interrupted_replacement_is_reported_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packable(tmp_path / "data")
    folder = tmp_path / "data" / "protos"
    run(tmp_path)
    wanted = snapshot(folder)
    replace = os.replace

    def fail(source: Path, target: object) -> None:
        if Path(source).name == MANIFEST:
            raise OSError(5, "Input/output error")
        replace(source, target)

    for failing_step in ("install", "write_manifest"):
        with monkeypatch.context() as patch:
            patch.setattr(packed.os, "replace", fail)
            if failing_step == "write_manifest":
                patch.setattr(module, "write_manifest", fail)
            with pytest.raises(FishtuiError):
                run(tmp_path)
        # A second packing that fails before it replaces anything also leaves the mixture marked.
        with failing("incomplete-packing", DataError):
            shard_paths(folder)
    run(tmp_path)
    assert snapshot(folder) == wanted


def test_a_damaged_manifest_is_reported_and_replaced_by_packing(tmp_path: Path) -> None:
    packable(tmp_path / "data")
    folder = tmp_path / "data" / "protos"
    for content in ("{", '{"clip": "a"}', "[]"):
        run(tmp_path)
        (folder / MANIFEST).write_text(content, encoding="utf-8")
        with failing("damaged-manifest", DataError):
            read_manifest(folder)
    run(tmp_path)
    assert len(read_manifest(folder)) == 24


def test_a_smaller_share_has_fewer_validation_clips(tmp_path: Path) -> None:
    packable(tmp_path / "data", clips=40)
    assert run(tmp_path, validation=0.5).counts["validation"] > 20
    assert run(tmp_path, validation=0.05).counts["validation"] < 12


def test_nothing_to_pack_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "data" / "anna" / "a.wav")
    with failing("no-complete-clips"):
        run(tmp_path)
    write_codes(tmp_path / "data" / "anna" / "a.npy")
    (tmp_path / "data" / "anna" / "a.lab").write_bytes(b"")
    with failing("nothing-to-pack") as caught:
        run(tmp_path)
    assert "empty" in caught.value.remedy
    assert not (tmp_path / "data" / "protos" / MANIFEST).exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    packable(tmp_path / "data")
    before = snapshot(tmp_path)
    assert run(tmp_path, dry_run=True).done == 24
    assert {name: content for name, content in snapshot(tmp_path).items() if name != "fishtui.toml"} == before


def test_speakers_of_one_name_stay_apart(tmp_path: Path) -> None:
    for speaker in ("anna/wavs", "bert/Clips", "de/carl", "en/carl", "dora", "emil"):
        packable(tmp_path / "data", (speaker,), clips=2)
    (tmp_path / "data" / "dora").rename(tmp_path / "data" / "caf\udce9")
    (tmp_path / "data" / "emil").rename(tmp_path / "data" / "caf\udce8")
    run(tmp_path)
    folder = tmp_path / "data" / "protos"
    sentences = [sentence for _, sentence in read_sentences(shard_paths(folder))]
    names = {sentence.text.rpartition(" of ")[2]: sentence.speaker for sentence in sentences}
    assert len(set(names.values())) == 6
    assert {names["anna/wavs."], names["bert/Clips."], names["de/carl."], names["en/carl."]} == {
        "anna", "bert", "de/carl", "en/carl",
    }  # fmt: skip
