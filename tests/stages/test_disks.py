"""Stages whose disk fills up or becomes read-only: a clear error, nothing lost, and the next run completes the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile

from fishtui.audio.encode import write_audio
from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, NormalizeSettings, PackSettings, Settings
from fishtui.shards.packed import read_manifest, shard_paths
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from tests.builders import SmallDisk, mounted, packable, project, remount, snapshot, tone, write_clip
from tests.expecting import failing
from tests.golden_data import GOLDEN
from tests.stages.test_merge import ADAPTER, PRESET
from tests.stages.test_train import Training

CLIPS = 6
SETTINGS = Settings(
    normalize=NormalizeSettings(workers=1),
    extract=ExtractSettings(device="cpu", workers=1, batch_size=1),
    pack=PackSettings(workers=1),
)
Work = Callable[..., Ledger]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB; its size can be changed."""
    folder = tmp_path / "disk"
    with mounted(folder, 4 << 20) as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not allow to mount a file system")
        yield folder


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return project(tmp_path / "project")


def clips_in(folder: Path) -> None:
    for number in range(CLIPS):
        write_clip(folder / "anna" / f"{number}.wav", samples=tone(0.5, pitch=200 + 20 * number))


def files(disk: Path) -> dict[str, bytes]:
    """Return the files on the disk, apart from what fills it and remains of an interrupted write."""
    return {name: content for name, content in snapshot(disk).items() if not Path(name).name.startswith(".")}


def normalizing(made: Project, disk: Path, reporter: Reporter) -> Ledger:
    return normalize(made, SETTINGS, reporter, source=made.root / "raw", target=disk / "loud", clean=False)


def extracting(made: Project, disk: Path, reporter: Reporter, checkpoint: Path) -> Ledger:
    return extract(made, SETTINGS, reporter, data=disk / "data", checkpoint=checkpoint / "codec.pth")


# A disk with a file that is open for writing cannot be made read-only, and workers of normalize write all the time.
@pytest.mark.parametrize(("stage", "fault"), [("normalize", "full"), ("extract", "full"), ("extract", "ro")])
def test_a_disk_that_takes_no_more_files_ends_a_stage_at_that_clip(
    made: Project, disk: Path, checkpoint: Path, stage: str, fault: str
) -> None:
    clips_in(made.root / "raw")
    clips_in(disk / "data")

    def run(listeners: tuple[Any, ...] = ()) -> Ledger:
        reporter = Reporter(None, listeners)
        if stage == "normalize":
            return normalizing(made, disk, reporter)
        return extracting(made, disk, reporter, checkpoint)

    def strike(event: Mapping[str, Any]) -> None:
        if event["kind"] == "progress" and event["done"] == 1:
            remount(disk, "ro") if fault == "ro" else SmallDisk(disk).fill()

    with failing("no-space") as caught:
        run((strike,))
    assert str(disk) in caught.value.problem
    remount(disk, "rw,size=8M")
    partial = files(disk)
    ledger = run()
    assert not ledger.failed
    assert ledger.total == CLIPS
    results = files(disk)
    assert partial.items() <= results.items()
    wanted = ".npy" if stage == "extract" else ".wav"
    assert sum(name.endswith(wanted) for name in results) == (CLIPS if stage == "extract" else 2 * CLIPS)


def test_a_full_disk_keeps_the_shards_of_the_last_packing(made: Project, disk: Path) -> None:
    data, output = made.root / "data", disk / "protos"

    def run() -> Ledger:
        return pack(made, SETTINGS, Reporter(), data=data, output=output)

    packable(data, clips=3)
    run()
    before = snapshot(output)
    packable(data, clips=40)
    SmallDisk(disk).fill(room=8192)
    with failing("cannot-write"):
        run()
    assert snapshot(output) == before
    assert shard_paths(output)
    remount(disk, "size=8M")
    assert run().done == len(read_manifest(output)) == 80


def test_a_full_disk_keeps_the_last_merged_model(made: Project, disk: Path) -> None:
    def run() -> Ledger:
        return merge(
            made,
            Reporter(),
            base=GOLDEN / "checkpoint",
            adapter=ADAPTER,
            output=disk / "merged",
            preset=PRESET,
            template=None,
        )

    remount(disk, "size=16M")
    run()
    before = files(disk)
    for room in (8 << 10, 5 << 20):
        SmallDisk(disk).fill(room=room)
        with failing("cannot-write") as caught:
            run()
        assert "No space left" in caught.value.problem
        assert files(disk) == before
    SmallDisk(disk).free()
    remount(disk, "size=32M")
    run()
    assert files(disk).keys() == before.keys()


def test_a_full_disk_ends_a_training_which_then_resumes(disk: Path, checkpoint: Path) -> None:
    remount(disk, "size=16M")
    training = Training(disk, checkpoint, clips=4)
    SmallDisk(disk).fill(room=1 << 20)
    with failing("cannot-write") as caught:
        training.run(max_steps=3)
    assert "No space left" in caught.value.problem
    assert not list_checkpoints(training.checkpoints())
    remount(disk, "size=64M")
    training.run(max_steps=3, resume=True)
    assert [saved.step for saved in list_checkpoints(training.checkpoints())] == [3]


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_sound_that_does_not_fit_on_the_disk_is_never_half_written(
    disk: Path, kind: str, subtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = disk / "sound"
    write_audio(path, tone(0.1), 44_100)
    before = soundfile.info(path).frames
    SmallDisk(disk).fill(room=16 << 10)
    with failing("cannot-write", FishtuiError) as caught:
        write_audio(path, tone(20.0), 44_100, kind, subtype)
    assert "No space left" in caught.value.problem
    assert soundfile.info(path).frames == before
    assert capfd.readouterr() == ("", "")
