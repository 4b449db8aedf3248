"""The shrunk default study on a real SLURM without accounting, and what a cluster does to a run.

The cluster is the tests' own, on the loopback: see `slurm_cluster.py`.
"""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Workflow
from tests.workflow.slurm_cluster import (
    NEEDS_PLUGIN,
    NoClusterError,
    SlurmCluster,
    running_cluster,
    wait_until,
)
from wsss.results.checkpoints import load_checkpoint
from wsss.study.cluster import LIGHT
from wsss.study.params import PARAMS

pytestmark = [pytest.mark.slow, NEEDS_PLUGIN]

SOON = """
import asyncio, runpy
pause = asyncio.sleep
asyncio.sleep = lambda seconds, result=None: pause(min(seconds, 2), result)
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
"""Snakemake that asks what became of jobs every two seconds; the plugin waits longer each time."""

AS_TRAINED = re.compile(r"report/|health|bundle/\w+/model\.json$|tables/results\.html$")
"""What shows or judges each step of the trainings, of which there are more rows here, or notes the code."""

SITE = {"partition": "all", "gpu_partition": "gpus", "gpu_type": "toy"}


@dataclass(frozen=True)
class Seen:
    """A run that has ended, and what was seen in its course.

    Attributes:
        workflow: the folder, with the results.
        said: all that Snakemake said.
        jobs: of SLURM, as it remembers them.
        saved: the histories in the states that disturbed trainings had saved, by network.
        nodes: where a training ran before and after it was disturbed, by network.
        draining: the states of the node that drains, and of the job on it.
    """

    workflow: Workflow
    said: str
    jobs: dict[str, dict[str, str]]
    saved: dict[str, list[dict[str, float]]]
    nodes: dict[str, tuple[str, str]]
    draining: tuple[str, str]


@dataclass(frozen=True)
class Run:
    """The study on the cluster; each training waits after its second save until it is let go."""

    cluster: SlurmCluster
    workflow: Workflow
    snakemake: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """All that Snakemake has said."""
        return (self.workflow.folder / "said.txt").read_text()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that is true, as long as Snakemake runs; return it."""

        def met() -> Any:
            assert self.snakemake.poll() is None, f"Snakemake ended before {what}:\n{self.said}"
            return condition()

        return wait_until(met, what)

    def training(self, network: str, state: str, but: str | None = None) -> str:
        """Wait until a training is in a state of SLURM's, perhaps as another job; return its number."""

        def found() -> str | None:
            job = self.cluster.job(f"rule_train_{network}", state)
            return None if job == but else job

        return str(self.until(found, f"train_{network} is {state}"))

    def saved_twice(self, network: str) -> list[dict[str, float]]:
        """Wait until a training has saved its state twice; return the rows of its history up to there."""
        folder = self.workflow.folder / "results" / "tiny" / network / ".resume"
        states = self.until(
            lambda: len(found := sorted(folder.glob("*.*.*.pt"))) == 2 and found, f"{network} saved twice"
        )
        return list(load_checkpoint(states[-1])["rows"])

    def let_go(self, network: str) -> None:
        """Let a training run on."""
        (self.workflow.folder / "hold" / network).unlink()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """One for all tests of this module."""
    try:
        with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
            yield cluster
    except NoClusterError as error:
        pytest.skip(f"no SLURM here: {error}")


@pytest.fixture(scope="module")
def seen(
    cluster: SlurmCluster, finished: Workflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    """The whole study, of which three trainings are disturbed after they have saved their state twice."""
    workflow = finished.unfinished(tmp_path_factory.mktemp("cluster") / "workflow")
    hold_trainings(workflow.folder)
    edit_profile(workflow.folder)
    (workflow.folder / "soon.py").write_text(SOON)
    options = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
    python, _, *arguments = workflow.command(*options, "--latency-wait", "20")
    with (workflow.folder / "said.txt").open("w") as said:
        snakemake = subprocess.Popen(
            [python, "soon.py", *arguments[1:]],
            cwd=workflow.folder,
            env=cluster.environment,
            stdout=said,
            stderr=said,
        )
    run = Run(cluster, workflow, snakemake)
    try:
        saved, nodes, draining = disturb(run)
        snakemake.wait(900)
        assert snakemake.returncode == 0, run.said
        yield Seen(workflow, run.said, cluster.jobs(), saved, nodes, draining)
    finally:
        snakemake.kill()
        snakemake.wait()


def disturb(
    run: Run,
) -> tuple[dict[str, list[dict[str, float]]], dict[str, tuple[str, str]], tuple[str, str]]:
    """Do to each training what clusters do; return what it had saved, its nodes, and what drains."""
    cluster, saved, nodes = run.cluster, {}, {}

    # The node of the classifier drains, and its job is put back into the queue.
    saved["classifier"] = run.saved_twice("classifier")
    job = run.training("classifier", "RUNNING")
    first = cluster.jobs()[job]["NodeList"]
    cluster("scontrol", "update", f"NodeName={first}", "State=DRAIN", "Reason=repair")
    of_node = cluster("sinfo", "--noheader", "--nodes", first, "--partition=all", "--format=%t").strip()
    draining = of_node, cluster.jobs()[job]["State"]
    cluster("scontrol", "requeue", job)
    run.training("classifier", "PENDING")
    run.let_go("classifier")
    assert run.training("classifier", "RUNNING") == job
    nodes["classifier"] = first, cluster.jobs()[job]["NodeList"]
    cluster("scontrol", "update", f"NodeName={first}", "State=RESUME")

    # AffinityNet is cancelled.
    saved["affinitynet"] = run.saved_twice("affinitynet")
    job = run.training("affinitynet", "RUNNING")
    cluster("scancel", job)
    run.training("affinitynet", "CANCELLED")
    run.let_go("affinitynet")
    run.training("affinitynet", "RUNNING", but=job)

    # The segmentation network has to make room.
    saved["segmenter"] = run.saved_twice("segmenter")
    job = run.training("segmenter", "RUNNING")
    urgent = ("--partition=urgent", "--nodes=2", "--exclusive", "--comment=urgent", "--output=/dev/null")
    cluster("sbatch", *urgent, "--wrap=true")
    assert run.training("segmenter", "PENDING") == job
    run.let_go("segmenter")
    assert run.training("segmenter", "RUNNING") == job
    return saved, nodes, draining


def hold_trainings(folder: Path) -> None:
    """Let trainings save their state in each step, and wait after the second one while a file is there."""
    loop, resume = (folder / "wsss" / "stages" / "training" / f"{name}.py" for name in ("loop", "resume"))
    loop.write_text(loop.read_text().replace("STEPS_PER_ROW = 10", "STEPS_PER_ROW = 1"))
    code = resume.read_text().replace("SECONDS_BETWEEN_SAVES = 120.0", "SECONDS_BETWEEN_SAVES = 0.0")
    hold = 'Path("hold", path.parent.parent.name)'
    resume.write_text(f"{code}        while number and {hold}.exists():\n            time.sleep(0.05)\n")
    (folder / "hold").mkdir()
    for network in ("classifier", "affinitynet", "segmenter"):
        (folder / "hold" / network).touch()


def edit_profile(folder: Path) -> None:
    """Edit the profile where it says what depends on the cluster."""
    profile = folder / "profiles" / "slurm" / "profile.yaml"
    text = profile.read_text()
    for name, value in SITE.items():
        assert re.search(rf"^  {name}: null", text, re.MULTILINE)
        text = re.sub(rf"^  {name}: null", f"  {name}: {value}", text, flags=re.MULTILINE)
    profile.write_text(text)


def test_the_results_are_those_of_a_run_that_nothing_disturbed(seen: Seen, finished: Workflow) -> None:
    found, expected = seen.workflow.artifacts(), finished.artifacts()
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name] and not AS_TRAINED.match(name)] == []


def test_without_accounting_jobs_are_watched_with_squeue(seen: Seen) -> None:
    (line,) = {line for line in seen.said.splitlines() if "squeue" in line}
    assert "no accounts can be read here (sacct: Slurm accounting storage is disabled)" in line


def test_trainings_resume_from_what_they_had_saved(seen: Seen) -> None:
    """The speed of a step differs from run to run: it tells whether a row was taken over."""
    for network, rows in seen.saved.items():
        with (seen.workflow.results / network / "history.tsv").open() as table:
            history = list(csv.DictReader(table, delimiter="\t"))
        assert len(rows) == 2
        assert len(history) == 3
        speeds = [float(row["images_per_second"]) for row in history[:2]]
        assert speeds == pytest.approx([row["images_per_second"] for row in rows], rel=1e-3), network


def test_a_draining_node_keeps_its_job_and_gets_no_other(seen: Seen) -> None:
    assert seen.draining == ("drng", "RUNNING")
    before, after = seen.nodes["classifier"]
    assert {before, after} == {"n1", "n2"}


def of_rule(seen: Seen, rule: str) -> list[dict[str, str]]:
    """Its jobs, in the order of their submission."""
    numbers = sorted(seen.jobs, key=int)
    return [seen.jobs[number] for number in numbers if seen.jobs[number]["Comment"] == f"rule_{rule}"]


def test_a_cancelled_training_is_tried_again_with_more_memory(seen: Seen) -> None:
    first, second = of_rule(seen, "train_affinitynet")
    assert (first["State"], second["State"]) == ("CANCELLED", "COMPLETED")
    assert (first["MinMemory"], second["MinMemory"]) == ("16000M", "32000M")


def test_a_requeued_and_a_preempted_training_are_one_job_each(seen: Seen) -> None:
    for network in ("classifier", "segmenter"):
        (job,) = of_rule(seen, f"train_{network}")
        assert job["State"] == "COMPLETED"


def test_what_the_profile_says_of_the_cluster_is_asked_for(seen: Seen) -> None:
    (training,) = of_rule(seen, "train_classifier")
    assert (training["Partition"], training["tres-per-job"]) == ("gpus", "gres:gpu:toy:1")
    (dataset,) = of_rule(seen, "prepare_dataset")
    assert (dataset["Partition"], dataset["tres-per-job"]) == ("all", "N/A")


def test_what_is_light_is_no_job(seen: Seen) -> None:
    comments = {job["Comment"] for job in seen.jobs.values()}
    submitted = {rule for rule in PARAMS if any(name.startswith(f"rule_{rule}") for name in comments)}
    assert not submitted & LIGHT
    assert {"prepare_dataset", "train_segmenter", "compute_cams", "write_report"} <= submitted
    logs = {path.name.partition(".")[0] for path in (seen.workflow.results / "logs").iterdir()}
    assert {"plot_scores", "gather_health", "write_tables", "check_health"} <= logs
