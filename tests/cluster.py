"""A SLURM cluster of one node on loopback, made of Debian's daemons with a temporary folder, for the duration of tests.

It has two processors on any machine, and a GPU that SLURM allocates and that cannot compute.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv")
# Seconds for the daemons to start, for a command to answer, for a test's condition, and between two checks.
START = 30.0
ANSWER = 20.0
PATIENCE = 30.0
PAUSE = 0.05
CONFIGURATION = """\
ClusterName=fishtui
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=20000 Gres=gpu:1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
Value = TypeVar("Value")


class NoClusterError(Exception):
    """The cluster does not start on this machine, with the reason."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster. Processes whose SLURM_CONF is `configuration` are its users."""

    configuration: Path
    controller: subprocess.Popen[bytes]

    def ask(self, *command: str) -> str:
        """Return the output of one of SLURM's commands; empty if it fails."""
        try:
            answer = subprocess.run(
                command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER
            )
        except subprocess.TimeoutExpired:
            return ""
        return answer.stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def until(self, condition: Callable[[], Value], seconds: float = PATIENCE) -> Value:
        """Return the value of `condition` once it is true. Fails the test after `seconds`."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"not within {seconds:.0f} s; the queue is\n{self.ask('squeue', '--all')}"
            assert not _ends(self.controller), (
                f"slurmctld ended: {_last_log_line(self.configuration.parent, 'slurmctld')}"
            )
        return found

    def clear(self) -> None:
        """End all jobs and wait for their end."""
        self.ask("scancel", "--user=root")
        self.until(lambda: not self.ask("squeue", "--noheader"))


def missing() -> str:
    """Return the reason why a cluster cannot run on this machine; empty if it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)}: not installed"
    return "SLURM's daemons need root" if os.geteuid() else ""


def installed() -> bool:
    """Return true if a cluster can run on this machine."""
    return not missing()


@contextmanager
def started() -> Iterator[Cluster]:
    """Yield a running cluster, and end it and its jobs afterwards. Raises NoClusterError if it does not start."""
    if reason := missing():
        raise NoClusterError(reason)
    # A socket's path must be short, and munged refuses one below a folder that others can write to.
    folder = Path(tempfile.mkdtemp(prefix="fishtui-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    configuration = _configure(folder)
    daemons: dict[str, subprocess.Popen[bytes]] = {}
    try:
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "seed")]
        daemons["munged"] = _start(configuration, "munged", "--foreground", f"--socket={folder}/munge.socket", *munge)
        _await(folder, daemons, (folder / "munge.socket").exists)
        daemons["slurmctld"] = _start(configuration, "slurmctld", "-D", "-i")
        daemons["slurmd"] = _start(configuration, "slurmd", "-D")
        cluster = Cluster(configuration, daemons["slurmctld"])
        _await(folder, daemons, lambda: cluster.ask("sinfo", "--noheader", "--format=%T") == "idle")
        yield cluster
    finally:
        _end_all(configuration)
        for daemon in daemons.values():
            daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    """Yield the cluster that all tests share."""
    try:
        with started() as cluster:
            yield cluster
    except NoClusterError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def cluster(running_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Yield a cluster without jobs; commands of this process and its children use it."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "SQUEUE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", str(running_cluster.configuration))
    yield running_cluster
    running_cluster.clear()


def _configure(folder: Path) -> Path:
    """Write the configuration of the daemons; return the path of slurm.conf."""
    host = socket.gethostname().partition(".")[0]
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [each.getsockname()[1] for each in (one, other)]
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, controller_port=ports[0], node_port=ports[1])
    )
    # SLURM does not allocate GPUs without a device file.
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    (folder / "cgroup.conf").write_text("")
    return configuration


def _start(configuration: Path, program: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a daemon that ends with this process."""
    with (configuration.parent / f"{program}.log").open("wb") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", program, *options],
            env={**os.environ, "SLURM_CONF": str(configuration)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await(folder: Path, daemons: dict[str, subprocess.Popen[bytes]], condition: Callable[[], bool]) -> None:
    """Wait for `condition`. Raises NoClusterError if a daemon ends, or it takes too long."""
    end = time.monotonic() + START
    while not condition():
        for name, daemon in daemons.items():
            if _ends(daemon):
                raise NoClusterError(f"{name} does not start: {_last_log_line(folder, name)}")
        if time.monotonic() > end:
            logs = "; ".join(f"{name}: {_last_log_line(folder, name)}" for name in daemons)
            raise NoClusterError(f"SLURM is not up after {START:.0f} s. {logs}")


def _ends(daemon: subprocess.Popen[bytes]) -> bool:
    """Return true if a daemon has ended, after a short wait: callers poll this in a loop."""
    with suppress(subprocess.TimeoutExpired):
        daemon.wait(PAUSE)
    return daemon.returncode is not None


def _last_log_line(folder: Path, program: str) -> str:
    lines = (folder / f"{program}.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "empty log"


def _end_all(configuration: Path) -> None:
    """Kill the daemons and the processes of the jobs, which are not their children."""
    end = time.monotonic() + PATIENCE
    while (left := list(_users(configuration))) and time.monotonic() < end:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=PAUSE)


def _users(configuration: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get("SLURM_CONF") == str(configuration)
            ):
                yield process
