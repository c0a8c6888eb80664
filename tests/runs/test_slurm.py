"""Submit, query and cancel jobs, with a real SLURM on this machine."""

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

# Prints when it has started and when it gets SIGTERM.
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
    """Return a function that submits a Python program with arguments, to run in `tmp_path`: the job's number."""

    def submit(program: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        command = [sys.executable, "-c", program, *arguments]
        return slurm.submit(command, "a run", tmp_path / "log", str(tmp_path), options)

    return submit


def job_of(number: str) -> slurm.Job:
    found = slurm.query_jobs([number])
    assert found is not None
    return found[number]


def end_of(number: str, cluster: Cluster) -> slurm.Job:
    cluster.until(lambda: job_of(number).ended)
    return job_of(number)


def test_a_job_runs_in_its_folder_writes_its_log_and_is_completed(
    submit: Submit, cluster: Cluster, tmp_path: Path
) -> None:
    number = submit("print('hello'); open('made', 'w').write('by the job')")
    assert end_of(number, cluster) == slurm.Job("COMPLETED")
    assert (tmp_path / "made").read_text() == "by the job"
    assert (tmp_path / "log").read_text() == "hello\n"


def test_each_word_of_a_command_arrives_unchanged_for_any_folder_and_interpreter(
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


def test_a_job_that_fails_is_failed_with_its_reason(submit: Submit, cluster: Cluster) -> None:
    assert end_of(submit("raise SystemExit(3)"), cluster) == slurm.Job("FAILED", "NonZeroExitCode")


def test_a_job_waits_while_the_machine_is_taken_and_then_runs(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    first = submit(PATIENT, options=("--exclusive",))
    cluster.until((tmp_path / "there").exists)
    second = submit("", options=("--exclusive",))
    cluster.until(lambda: job_of(second).reason)
    assert [str(job_of(first)), str(job_of(second))] == ["running", "pending: Resources"]
    assert (job_of(first).runs, job_of(first).waits, job_of(first).ended) == (True, False, False)
    assert (job_of(second).runs, job_of(second).waits, job_of(second).ended) == (False, True, False)
    slurm.cancel(first, signal.SIGTERM)
    assert end_of(second, cluster) == slurm.Job("COMPLETED")


def test_a_pending_job_is_cancelled_at_once_and_never_runs(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    number = submit(PATIENT, options=("--hold",))
    assert job_of(number) == slurm.Job("PENDING", "JobHeldUser")
    slurm.cancel(number, signal.SIGTERM)
    assert job_of(number).state == "CANCELLED"
    assert not (tmp_path / "there").exists()


def test_cancelling_signals_only_the_batch_process(submit: Submit, cluster: Cluster, tmp_path: Path) -> None:
    # In the process group of the batch process, which signals of a terminal reach too.
    folder = tmp_path / "child"
    folder.mkdir()
    parent = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], cwd='child')\n"
    number = submit(parent + PATIENT + "\n", PATIENT)
    cluster.until(lambda: (tmp_path / "there").exists() and (folder / "there").exists())
    slurm.cancel(number, signal.SIGTERM)
    assert end_of(number, cluster) == slurm.Job("FAILED", "NonZeroExitCode")
    assert (tmp_path / "asked").exists()
    assert not (folder / "asked").exists()


def test_killing_ends_a_job_that_ignores_signals_and_its_children(
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
    assert job_of(number).runs
    slurm.cancel(number, signal.SIGKILL)
    assert end_of(number, cluster).state == "CANCELLED"
    cluster.until(lambda: not any(os.path.exists(f"/proc/{file.read_text()}") for file in files))


def test_cancelling_an_ended_or_unknown_job_does_nothing(submit: Submit, cluster: Cluster) -> None:
    number = submit("")
    before = end_of(number, cluster)
    for how in (signal.SIGTERM, signal.SIGKILL):
        slurm.cancel(number, how)
        slurm.cancel("999999", how)
    assert job_of(number) == before


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
    # Simulates accounting with a database, which this cluster does not have.
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
def test_a_refusal_contains_the_message_of_slurm(option: str, complaint: str, submit: Submit) -> None:
    with failing("refused") as caught:
        submit("", options=(option,))
    assert caught.value.problem.endswith(f": {complaint}")


@pytest.mark.parametrize("option", ["--array=0-3", "--wait", "--wrap=true", "--test-only"])
def test_options_that_do_not_submit_a_single_job_are_refused(option: str, submit: Submit, cluster: Cluster) -> None:
    with failing("sbatch-option", MisuseError) as caught:
        submit("", options=("--hold", option))
    assert option in caught.value.problem
    assert not cluster.ask("squeue", "--noheader")


def test_variables_that_reformat_the_output_of_slurm_have_no_effect(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert job_of(number) == slurm.Job("PENDING", "JobHeldUser")
    slurm.cancel(number, signal.SIGTERM)
    assert job_of(number).ended


def test_a_job_submitted_inside_another_does_not_inherit_its_variables(
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


def test_a_job_is_not_requeued_and_gets_a_signal_before_its_time_limit_by_default(
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
    cluster.until(lambda: job_of(second).reason == "Resources")
    slurm.cancel(first, signal.SIGTERM)
    assert end_of(second, cluster) == slurm.Job("COMPLETED")


def test_without_a_controller_jobs_are_unknown_and_commands_fail(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "slurm.conf"
    # No process listens at this port, and SLURM must give up early.
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


def test_without_the_commands_of_slurm_jobs_are_unknown_and_commands_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("squeue") is None
    assert slurm.query_jobs(["1"]) is None
    with failing("no-sbatch"):
        slurm.submit(["true"], "a run", tmp_path / "log", str(tmp_path), ())
