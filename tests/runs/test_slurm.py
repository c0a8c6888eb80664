"""Submitting jobs and asking after them, with a real SLURM on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.runs import slurm
from tests.cluster import Cluster
from tests.expecting import failing

pytestmark = pytest.mark.xdist_group("slurm")

Submit = Callable[..., str]

# Says that it is there, and at SIGTERM that it got it.
PATIENT = """
import pathlib, signal, sys
def end(*_):
    pathlib.Path("asked").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
pathlib.Path("there").touch()
signal.pause()
"""


@pytest.fixture
def submit(cluster: Cluster, tmp_path: Path) -> Submit:
    """Submits a Python program with arguments, to run in `tmp_path`; the job's number."""

    def submit(program: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        command = [sys.executable, "-c", program, *arguments]
        return slurm.submit(command, "a run", tmp_path / "log", str(tmp_path), options)

    return submit


def told(number: str) -> slurm.Job:
    found = slurm.query_jobs([number])
    assert found is not None
    return found[number]


def end_of(number: str, cluster: Cluster) -> slurm.Job:
    cluster.until(lambda: told(number).ended)
    return told(number)


def test_a_job_runs_in_its_folder_writes_its_log_and_is_completed(
    submit: Submit, cluster: Cluster, tmp_path: Path
) -> None:
    number = submit("print('hello'); open('made', 'w').write('by the job')")
    assert end_of(number, cluster) == slurm.Job("COMPLETED")
    assert (tmp_path / "made").read_text() == "by the job"
    assert (tmp_path / "log").read_text() == "hello\n"


def test_each_word_of_a_command_arrives_as_it_is_wherever_its_folder_and_interpreter_are(
    cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "50% of 'them'" / ("long" * 50)
    folder.mkdir(parents=True)
    interpreter = folder / "my python"
    interpreter.symlink_to(sys.executable)
    words = [
        "two words",
        "$(touch made)",
        "`touch made`",
        "it's",
        '"',
        "\\n",
        "line\n#SBATCH --hold",
        "*",
        "",
        "ü",
        "\udcff",
    ]
    program = "import json, sys; json.dump(sys.argv[1:], open('words', 'w'))"
    number = slurm.submit([str(interpreter), "-c", program, *words], "a run", folder / "log %j", str(folder), ())
    assert end_of(number, cluster) == slurm.Job("COMPLETED")
    assert json.loads((folder / "words").read_text()) == words
    assert not (folder / "made").exists()
    assert (folder / "log %j").exists()


def test_a_job_that_fails_is_failed_and_says_why(submit: Submit, cluster: Cluster) -> None:
    assert end_of(submit("raise SystemExit(3)"), cluster) == slurm.Job("FAILED", "NonZeroExitCode")


def test_a_job_waits_while_the_machine_is_taken_and_then_runs(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    first = submit(PATIENT, options=("--exclusive",))
    cluster.until((tmp_path / "there").exists)
    second = submit("", options=("--exclusive",))
    cluster.until(lambda: told(second).reason)
    assert [str(told(first)), str(told(second))] == ["running", "pending: Resources"]
    assert (told(first).runs, told(first).waits, told(first).ended) == (True, False, False)
    assert (told(second).runs, told(second).waits, told(second).ended) == (False, True, False)
    slurm.cancel(first, signal.SIGTERM)
    assert end_of(second, cluster) == slurm.Job("COMPLETED")


def test_a_job_that_waits_is_cancelled_at_once_and_never_runs(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    number = submit(PATIENT, options=("--hold",))
    assert told(number) == slurm.Job("PENDING", "JobHeldUser")
    slurm.cancel(number, signal.SIGTERM)
    assert told(number).state == "CANCELLED"
    assert not (tmp_path / "there").exists()


def test_cancelling_asks_the_batch_process_alone(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    # In the batch process's own group, where the terminal's signals would reach it too.
    folder = tmp_path / "child"
    folder.mkdir()
    parent = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], cwd='child')\n"
    number = submit(parent + PATIENT + "\n", PATIENT)
    cluster.until(lambda: (tmp_path / "there").exists() and (folder / "there").exists())
    slurm.cancel(number, signal.SIGTERM)
    assert end_of(number, cluster) == slurm.Job("FAILED", "NonZeroExitCode")
    assert (tmp_path / "asked").exists()
    assert not (folder / "asked").exists()


def test_killing_ends_a_job_that_does_not_listen_with_its_children(
    submit: Submit, cluster: Cluster, tmp_path: Path
) -> None:
    deaf = "import os, signal, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid() if {} else None\n"
    there = "pathlib.Path({!r}).write_text(str(os.getpid()))\n"
    child = deaf.format(True) + there.format("child") + "signal.pause()"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])\n" + deaf.format(False)
    number = submit(parent + there.format("parent") + "signal.pause()")
    files = [tmp_path / "parent", tmp_path / "child"]
    cluster.until(lambda: all(file.exists() and file.read_text() for file in files))
    slurm.cancel(number, signal.SIGTERM)
    assert told(number).runs
    slurm.cancel(number, signal.SIGKILL)
    assert end_of(number, cluster).state == "CANCELLED"
    cluster.until(lambda: not any(os.path.exists(f"/proc/{file.read_text()}") for file in files))


def test_a_job_that_has_ended_or_that_slurm_never_had_is_cancelled_without_a_word(
    submit: Submit, cluster: Cluster
) -> None:
    number = submit("")
    before = end_of(number, cluster)
    for how in (signal.SIGTERM, signal.SIGKILL):
        slurm.cancel(number, how)
        slurm.cancel("999999", how)
    assert told(number) == before


def test_a_job_that_slurm_has_forgotten_is_unknown(submit: Submit, cluster: Cluster) -> None:
    number = submit("")
    found = slurm.query_jobs([number, "999999"])
    assert found is not None
    assert set(found) == {number, "999999"}
    assert found["999999"] == slurm.Job("UNKNOWN")
    assert found["999999"].ended


def test_the_accounting_knows_what_the_queue_has_forgotten(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a database, which there is none of here.
    accounting = tmp_path / "sacct"
    accounting.write_text("#!/bin/sh\necho '999998|CANCELLED by 0'\necho '999999|OUT_OF_MEMORY'\n")
    accounting.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert slurm.query_jobs(["999997", "999998", "999999"]) == {
        "999997": slurm.Job("UNKNOWN"),
        "999998": slurm.Job("CANCELLED"),
        "999999": slurm.Job("OUT_OF_MEMORY"),
    }


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--partition=none", "invalid partition specified: none; Invalid partition name specified"),
        ("--gres=gpu:9", "Requested node configuration is not available"),
        ("--time=soon", "Invalid --time specification"),
        ("--nonsense", "unrecognized option '--nonsense'"),
    ],
)
def test_a_refusal_says_what_slurm_says(option: str, complaint: str, submit: Submit) -> None:
    with failing("refused") as caught:
        submit("", options=(option,))
    assert caught.value.problem.endswith(f": {complaint}")


@pytest.mark.parametrize("option", ["--array=0-3", "--wait", "--wrap=true", "--test-only"])
def test_options_with_which_it_would_be_no_job_of_its_own_are_refused(
    option: str, submit: Submit, cluster: Cluster
) -> None:
    with failing("sbatch-option", MisuseError) as caught:
        submit("", options=("--hold", option))
    assert option in caught.value.problem
    assert not cluster.ask("squeue", "--noheader")


def test_a_users_taste_in_slurms_commands_changes_nothing(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SQUEUE_STATES": "running",
        "SQUEUE_NAMES": "other",
        "SQUEUE_FORMAT": "%u",
        "SCANCEL_INTERACTIVE": "true",
        "SCANCEL_NAME": "other",
        "SBATCH_WAIT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    number = submit("", options=("--hold",))
    assert told(number) == slurm.Job("PENDING", "JobHeldUser")
    slurm.cancel(number, signal.SIGTERM)
    assert told(number).ended


def test_a_job_submitted_from_within_another_takes_nothing_of_its_for_its_own(
    submit: Submit, cluster: Cluster, tmp_path: Path
) -> None:
    inner = "import json, os; json.dump(dict(os.environ), open('inner', 'w'))"
    outer = (
        "import os, sys; from pathlib import Path; from fishtui.runs import slurm\n"
        "slurm.submit([sys.executable, '-c', sys.argv[1]], 'inner', Path('log').absolute(), os.getcwd(), ['--mem=20'])"
    )
    step = "import subprocess, sys; subprocess.run(['srun', sys.executable, '-c', *sys.argv[1:]], check=True)"
    number = submit(step, outer, inner, options=("--mem-per-cpu=50", "--ntasks=1", "--cpus-per-task=2"))
    assert end_of(number, cluster) == slurm.Job("COMPLETED")
    cluster.until(lambda: not cluster.ask("squeue", "--noheader"))
    variables = json.loads((tmp_path / "inner").read_text())
    assert variables["SLURM_JOB_ID"] != number
    assert variables["SLURM_MEM_PER_NODE"] == "20"
    leaks = {"SLURM_STEP_ID", "SLURM_MEM_PER_CPU", "SLURM_CPUS_PER_TASK", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS"}
    assert leaks.isdisjoint(variables)


def test_a_job_is_not_begun_again_and_is_asked_before_its_time_is_up_unless_the_user_says_otherwise(
    submit: Submit, cluster: Cluster
) -> None:
    usual = cluster.ask("scontrol", "show", "job", submit("", options=("--hold",)))
    assert "Requeue=0" in usual
    wanted = cluster.ask("scontrol", "show", "job", submit("", options=("--hold", "--requeue")))
    assert "Requeue=1" in wanted


def test_a_gpu_is_handed_out_to_one_job_at_a_time(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    program = "import os; open('gpu', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])\n" + PATIENT
    first = submit(program, options=("--gres=gpu:1",))
    cluster.until((tmp_path / "there").exists)
    assert (tmp_path / "gpu").read_text() == "0"
    second = submit("", options=("--gres=gpu:1",))
    cluster.until(lambda: told(second).reason == "Resources")
    slurm.cancel(first, signal.SIGTERM)
    assert end_of(second, cluster) == slurm.Job("COMPLETED")


def test_without_a_controller_nothing_is_known_and_nothing_can_be_done(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "slurm.conf"
    # Nobody listens at the first port; the second makes up for SLURM's long patience with that.
    other.write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1\nMessageTimeout=2", cluster.configuration.read_text()))
    monkeypatch.setenv("SLURM_CONF", str(other))
    assert slurm.query_jobs(["1"]) is None
    with failing("refused") as caught:
        slurm.submit(["true"], "a run", tmp_path / "log", str(tmp_path), ())
    assert "Unable to contact slurm controller" in caught.value.problem
    with failing("no-answer"):
        slurm.cancel("1", signal.SIGTERM)


def test_a_controller_that_hangs_is_not_waited_for_long(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "PATIENCE", 0.2)
    cluster.controller.send_signal(signal.SIGSTOP)
    try:
        assert slurm.query_jobs(["1"]) is None
    finally:
        cluster.controller.send_signal(signal.SIGCONT)


def test_without_slurms_commands_nothing_is_known_and_nothing_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("squeue") is None
    assert slurm.query_jobs(["1"]) is None
    with failing("no-sbatch"):
        slurm.submit(["true"], "a run", tmp_path / "log", str(tmp_path), ())
