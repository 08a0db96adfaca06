"""A link at any depth of a run folder leads to something in it, or is one that runs make, or is refused."""

import pytest

from sgg.errors import SggError
from sgg.runs import links
from sgg.runs.folder import SERVED
from sgg.runs.lease import OWNERS, Lease
from sgg.runs.links import refuse_links_out_of


@pytest.fixture
def run(tmp_path):
    """A run folder, beside something that a link could lead to."""
    (tmp_path / "victim").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    return run


def link(run, place, to="../victim"):
    path = run / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("../" * (len(path.relative_to(run).parts) - 1) + to)


@pytest.mark.parametrize(
    "place",
    [
        "run.log",
        "model/config.json",
        "model/default",
        "checkpoint-3/global_step3/a.pt",
        "points/003/grpo/logs",
        "wandb/settings",
        "wandb/run-1/logs/debug-internal.log",
        "logs/debug-core.log",
        f"{SERVED}.server0/deeper/config.json",
        f"{SERVED}",
    ],
)
@pytest.mark.parametrize("to", ["../victim", "../nothing", "../run/../victim", ".."])
def test_no_start_in_a_folder_with_a_link_out_of_it(run, place, to):
    link(run, place, to)
    with pytest.raises(OSError, match="symbolic link to ") as refused, Lease(run):
        pass
    assert str(run / place) in str(refused.value)
    assert not (run / OWNERS).exists()


def test_links_that_stay_inside_and_those_of_runs_are_legal(run):
    link(run, "best", "points/003/model")
    link(run, "wandb/latest-run", "wandb/run-1")
    link(run, "points/003/current", "best")
    link(run, "wandb/replaced/offline-run-1/logs/debug-core.log")
    link(run, f"points/003/{SERVED}.server0/model.safetensors")
    link(run, f"{SERVED}/config.json")
    with Lease(run):
        pass


def test_a_folder_behind_a_link_is_not_looked_into(run):
    """A link to itself, or to a folder above with links of its own, would be looked at without an end."""
    link(run, "itself", ".")
    refuse_links_out_of(run)


def test_the_look_has_an_end(run, monkeypatch):
    monkeypatch.setattr(links, "MOST", 3)
    for name in "abc":
        (run / name).touch()
    refuse_links_out_of(run)
    (run / "d").touch()
    with pytest.raises(SggError, match=r"more than 3 files, .* Take another folder, or remove"):
        refuse_links_out_of(run)
