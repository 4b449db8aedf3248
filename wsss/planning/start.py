"""What happens once before the first job of a run, where Snakemake runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wsss.planning.locks import clean, note_owner
from wsss.study.config import Study
from wsss.study.inner import CHECKPOINT, inner_studies


def begin_run(study: Study, *, elsewhere: bool) -> None:
    """Note whose run starts, remove what killed ones left unfinished, and fetch weights for other machines.

    Args:
        study: whose run it is.
        elsewhere: whether jobs run on other machines, which may have no network.

    Raises:
        SystemExit: weights cannot be had.
    """
    note_owner()
    clean(study.folder)
    if elsewhere and (backbones := downloaded_backbones(study, missing=True)):
        fetch_elsewhere(backbones)


def downloaded_backbones(study: Study, *, missing: bool = False) -> list[str]:
    """The backbones of a study whose ImageNet weights are downloaded, those of its later rounds included.

    Args:
        study: the study around.
        missing: leave out networks that are trained.
    """
    found = [
        section.backbone
        for inside in (study, *(inner.study for inner in inner_studies(study)))
        for network in inside.trained_networks
        if (section := getattr(inside, network)).weights == "imagenet"
        and not (missing and Path(inside.folder, network, CHECKPOINT).is_file())
    ]
    return list(dict.fromkeys(found))


def fetch_elsewhere(backbones: list[str]) -> None:
    """Fetch weights in another process: this one stays without torch.

    Raises:
        SystemExit: they cannot be had; the message says which file to put where.
    """
    options = [word for name in backbones for word in ("--backbone", name)]
    command = [sys.executable, "-m", "wsss", "weights", "fetch", *options]
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}".strip())
    print(done.stdout, end="")
