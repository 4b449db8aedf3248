"""A SLURM of its own on the loopback: munged, slurmctld, two slurmds, and no accounting.

All of its files are in one folder, its ports are free ones, and its programs find it by scripts in `bin/`, so
that a SLURM of the machine is left alone.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

NEEDS_PLUGIN = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason="needs the extra `slurm` (snakemake-executor-plugin-slurm)",
)

DAEMONS = ("munged", "slurmctld", "slurmd")
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct")
SYSTEM = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
NODES = ("n1", "n2")
UNFINISHED = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED")

NO_HOME = "/proc/home"
"""The home of jobs, where nothing can be written."""

ASKED = ("Comment", "State", "NodeList", "MinMemory", "Partition", "tres-per-job")
"""What is known of a job; as its comment the plugin gives the rule and its wildcards."""

CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=2
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
KillWait=2
ReturnToService=2
MinJobAge=7200
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=64000 Gres=gpu:toy:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=64000 Gres=gpu:toy:1
PartitionName=all Nodes=n1,n2 Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=gpus Nodes=n1,n2 PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=n1,n2 PriorityTier=10 MaxTime=INFINITE State=UP
"""
GPUS = """
NodeName=n1 Name=gpu Type=toy Count=1 File=/dev/null
NodeName=n2 Name=gpu Type=toy Count=1 File=/dev/zero
"""


class NoClusterError(RuntimeError):
    """SLURM cannot run here; the message says why."""


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 900) -> Any:
    """Ask again and again for something that is true, and return it; fail if it takes too long."""
    end, pause = monotonic() + seconds, Event()
    while not (found := condition()):
        if monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        pause.wait(0.1)
    return found


@dataclass(frozen=True)
class SlurmCluster:
    """It runs while `running_cluster` holds it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """In which SLURM's programs are those of this cluster."""
        return {**os.environ, "PATH": os.pathsep.join([str(self.folder / "bin"), SYSTEM])}

    def __call__(self, *command: str) -> str:
        """Run a program of SLURM, and return what it says."""
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """All jobs that SLURM remembers, by their number."""
        fields = ",".join(f"{field}:120|" for field in ("JobID", *ASKED))
        lines = self("squeue", "--noheader", "--states=all", f"--Format={fields}").splitlines()
        rows = ([value.strip() for value in line.split("|")][:-1] for line in lines)
        return {number: dict(zip(ASKED, row, strict=True)) for number, *row in rows}

    def job(self, comment: str, state: str) -> str | None:
        """The number of the last job with a comment, if there is one in that state."""
        found = [
            number
            for number, job in self.jobs().items()
            if job["Comment"] == comment and job["State"] == state
        ]
        return max(found, key=int, default=None)


@contextmanager
def running_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Start a cluster in an empty folder, and end it with all that it runs.

    Raises:
        NoClusterError: a program is missing, or a daemon does not start.
    """
    if missing := [name for name in (*DAEMONS, *PROGRAMS) if shutil.which(name, path=SYSTEM) is None]:
        raise NoClusterError(f"not installed: {', '.join(missing)}")
    _write(folder)
    cluster = SlurmCluster(folder)
    with ExitStack() as stack:
        munge = [f"--{name}={folder}/munge.{end}" for name, end in MUNGE.items()]
        stack.enter_context(_daemon(folder, "munged", "--foreground", "--force", "--num-threads=2", *munge))
        _up(folder, "munged", (folder / "munge.socket").exists)
        stack.enter_context(_daemon(folder, "slurmctld", "-D", "-c"))
        for node in NODES:
            stack.enter_context(_daemon(folder, "slurmd", "-D", "-N", node))
        _up(folder, "slurmd", lambda: _nodes(cluster) == ["idle", "idle"])
        stack.callback(_cancel_all, cluster)
        yield cluster


MUNGE = {
    "socket": "socket",
    "key-file": "key",
    "pid-file": "pid",
    "log-file": "log",
    "seed-file": "seed",
}


def _write(folder: Path) -> None:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(3)]
        for listener in free:
            listener.bind(("127.0.0.1", 0))
        ports = [listener.getsockname()[1] for listener in free]
    host = socket.gethostname().partition(".")[0]
    settings = {"host": host, "user": getpass.getuser(), "folder": folder, "ports": ports}
    (folder / "slurm.conf").write_text(CONFIG.format(**settings))
    (folder / "gres.conf").write_text(GPUS)
    (folder / "state").mkdir()
    (folder / "munge.key").touch(mode=0o600)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        script = folder / "bin" / name
        program = shutil.which(name, path=SYSTEM)
        home = f"HOME={NO_HOME} " if name == "sbatch" else ""
        script.write_text(f'#!/bin/sh\n{home}SLURM_CONF={folder}/slurm.conf exec {program} "$@"\n')
        script.chmod(0o755)


@contextmanager
def _daemon(folder: Path, *command: str) -> Iterator[None]:
    environment = {**os.environ, "PATH": SYSTEM, "SLURM_CONF": str(folder / "slurm.conf")}
    with (folder / f"{command[0]}.said").open("a") as said:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _up(folder: Path, name: str, condition: Callable[[], object]) -> None:
    try:
        wait_until(condition, f"{name} is up", 30)
    except TimeoutError as error:
        said = [line for line in (folder / f"{name}.said").read_text().splitlines() if line.strip()]
        raise NoClusterError(f"{error}: {said[-1] if said else 'no word'}") from None


def _nodes(cluster: SlurmCluster) -> list[str]:
    command: Mapping[str, object] = {"env": cluster.environment, "text": True, "capture_output": True}
    done = subprocess.run(["sinfo", "-h", "-N", "-p", "all", "-o", "%t"], **command)  # type: ignore[call-overload]
    return str(done.stdout).split()


def _cancel_all(cluster: SlurmCluster) -> None:
    cluster("scancel", "--user", getpass.getuser())
    wait_until(
        lambda: all(job["State"] not in UNFINISHED for job in cluster.jobs().values()), "jobs have ended", 60
    )
