"""Dashboards by wandb's own packages: what they hold, whose runs, and what a stranger's names do there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from sweep_folders import evaluated_run, sweep_of_points
from wandb_server import KEY, serving
from wandb_workspaces.reports.v2 import Report
from wandb_workspaces.reports.v2.internal import ReportViewspec
from wandb_workspaces.workspaces.internal import WorkspaceViewspec

from sgg.cli.dashboard import main
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.dashboard.content import dashboard_of, plain_title
from sgg.errors import SggError
from sgg.report.sweep_view import summary_of, sweep_verdicts
from sgg.runs.signature import sign_run

HOSTILE = '"] or True) <script>alert(1)</script> [x](javascript:y) 😀\x1b[31m'
SCORES = {
    **{"images": 8, "completions": 8, "images_with_relations": 8, "gold_relations": 20},
    "metrics": {"R": 0.5, "mR": 0.4, "failure_rate": 0.125, "AP50": 0.6, "R@20": 0.3},
    "intervals": {"R": [0.4, 0.6]},
    **{"problems": {}, "recall_per_predicate": {}, "protocol": {"id": "shapes"}},
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def made(folder, *words, run_id="0123abcd", curves=(), metrics=None):
    """The folder of a run that wandb has tracked, unless the words say otherwise."""
    folder.mkdir(parents=True)
    write_frozen(compose_config(["tracker=wandb", *words]), folder / FROZEN_NAME)
    (folder / "tracker.json").write_text(json.dumps({"id": run_id}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curves))
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def written(folder):
    return json.loads((folder / "dashboard.json").read_text())


def panels(content):
    """Of the workspace: section -> what its panels are about."""
    found = {}
    for section in content["workspace"]["section"]["panelBankConfig"]["sections"]:
        configs = [panel["config"] for panel in section["panels"]]
        found[section["name"]] = [(c.get("metrics") or [""])[0] for c in configs]
    return found


def test_sections_hold_what_a_run_has_logged(tmp_path):
    row = {"step": 1, "loss": 1.0, "reward/total/mean": 0.2, "reward/edge/mean": 0.1}
    row |= {"completion/length/mean": 3, "speed/step_s": 1.0, "epoch": 1, "no_such_name": 2}
    main([str(made(tmp_path / "run", "stage=grpo", curves=[row]))])
    content = written(tmp_path / "run")
    assert panels(content) == {
        "Training curves": ["loss"],
        "Reward terms": ["reward/total/mean", "reward/edge/mean"],
        "Completions": ["completion/length/mean"],
        "Speed": ["speed/step_s"],
        "Samples": [""],
    }
    assert '"samples/rotating"' in json.dumps(content["report"]["blocks"][-2])
    [step_s] = content["workspace"]["section"]["panelBankConfig"]["sections"][3]["panels"]
    assert step_s["config"]["xAxisTitle"] == "step"
    assert step_s["config"]["yAxisTitle"] == "s"


def test_before_the_first_step_panels_wait_for_what_will_be_logged(tmp_path):
    main([str(made(tmp_path / "sft", "stage=sft"))])
    sft = panels(written(tmp_path / "sft"))
    assert {"loss", "entropy", "token_accuracy"} <= {*sft["Training curves"]}
    assert not {"policy_loss", "aux_loss", "kl", "cispo_clip_ratio"} & {*sft["Training curves"]}
    assert "speed/reward_s" not in sft["Speed"]
    assert {*sft} == {"Training curves", "Speed"}
    main([str(made(tmp_path / "grpo", "stage=grpo", "reward=balanced"))])
    terms = {f"reward/{term}/mean" for term in compose_config(["reward=balanced"]).reward.terms}
    assert terms <= {*panels(written(tmp_path / "grpo"))["Reward terms"]}


def test_an_evaluation_has_its_metrics_in_words_and_bars_and_its_samples(tmp_path):
    main([str(made(tmp_path / "eval", "stage=eval", metrics=SCORES))])
    content = written(tmp_path / "eval")
    names = ["R", "mR", "failure_rate", "AP50", "R@20"]
    assert panels(content)["Evaluation"] == [f"eval/{name}" for name in names]
    assert "eval/samples" in json.dumps(content["report"]["blocks"][-2])
    said = json.dumps(content["report"])
    assert "eval: triplet recall 0.500 [0.400, 0.600], mean recall 0.400" in said


def test_the_verdicts_of_a_sweep_are_those_of_its_report(tmp_path):
    """One a configuration, p adjusted for their number: not one a run."""
    words = [[f"generate.temperature={t}", f"seed={s}"] for t in (0.0, 0.5, 1.0) for s in (0, 1)]
    folder = sweep_of_points(tmp_path / "sweep", words)
    for i, own in enumerate(words):
        path = folder / "points" / str(i)
        found = (2, 5, 12)[i // 2]
        recalls = [1.0] * found + [0.0] * (12 - found)
        evaluated_run(path, ["tracker=wandb", *own], recalls)
        (path / "tracker.json").write_text(json.dumps({"id": f"0000000{i}"}))
    found = dashboard_of([folder], "x").verdicts
    assert found == [verdict.text for verdict in sweep_verdicts(summary_of([folder], ""))]
    assert [sentence.split(":")[0] for sentence in found] == [
        "generate.temperature=1.0 is better than generate.temperature=0.0",
        "No difference between generate.temperature=0.5 and generate.temperature=0.0 that 12 images "
        "can show",
    ]


def test_only_its_runs_are_in_it_and_the_others_are_named(tmp_path, capsys):
    a = made(tmp_path / "a", "stage=grpo", run_id="0000000a")
    b = made(tmp_path / "b", "stage=grpo", "seed=7", run_id="0000000b")
    c = made(tmp_path / "c", "stage=grpo", "tracker.wandb=false", run_id="0000000c")
    main([str(a), str(b), str(c), "out=new/d.json"])
    content = json.loads((tmp_path / "new/d.json").read_text())
    assert content["runs"] == ["0000000a", "0000000b"]
    for runs in (
        content["workspace"]["section"]["runSets"][0],
        content["report"]["blocks"][-2]["metadata"]["runSets"][0],
    ):
        [only] = runs["filters"]["filters"]
        assert (only["op"], only["key"]["name"], only["value"]) == ("IN", "name", content["runs"])
    assert "c: not tracked by wandb" in capsys.readouterr().out
    [parallel, _] = content["workspace"]["section"]["panelBankConfig"]["sections"][-2]["panels"]
    columns = [column["accessor"] for column in parallel["config"]["columns"]]
    assert columns == ["config:seed.value", "summary:reward/total/mean"]


def test_wandbs_packages_read_it_back(tmp_path):
    main([str(made(tmp_path / "eval", "stage=eval", metrics=SCORES))])
    content = written(tmp_path / "eval")
    workspace = WorkspaceViewspec.model_validate(content["workspace"])
    again = workspace.model_dump(by_alias=True, exclude_none=True)
    assert json.loads(json.dumps(again)) == content["workspace"]
    report = Report._from_model(
        ReportViewspec(
            display_name="x",
            project={"name": "p", "entity_name": "e"},
            spec=json.dumps(content["report"]),
        )
    )
    assert not [block for block in report.blocks if "Unknown" in type(block).__name__]


def test_a_strangers_names_stay_text(tmp_path, capsys):
    name = HOSTILE.replace("/", "|")
    row = {"step": 1, f"reward/{HOSTILE}/mean": 0.5, HOSTILE: 1}
    words = ("stage=grpo",)
    main([str(made(tmp_path / name, *words, curves=[row])), "out=d.json"])
    content = json.loads((tmp_path / "d.json").read_text())
    assert panels(content) == {"Reward terms": [f"reward/{HOSTILE}/mean"], "Samples": [""]}
    [only] = content["workspace"]["section"]["runSets"][0]["filters"]["filters"]
    assert only["value"] == ["0123abcd"]
    assert not {"<", ">", "\x1b", "😀"} & {*content["title"]}
    for bad in (HOSTILE, "0123ABCD", "0123abcd\n", "../../x", 7):
        (tmp_path / name / "tracker.json").write_text(json.dumps({"id": bad}))
        with pytest.raises(SggError, match="none was"):
            main([str(tmp_path / name)])


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path):
    folder = tmp_path / os.fsdecode(b"a\xff")
    main([str(made(folder, "stage=eval", metrics=SCORES))])
    assert written(folder)["title"] == "a?"
    assert plain_title("\n\x1b[1m") == "runs"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["entity=a/b"], "entity=a/b: no name"),
        (["project=a/b"], "project=a/b: no name"),
        (["entiti=a"], "no such key. Did you mean 'entity'"),
        (["seed=1"], "seed=1 would be ignored"),
        (["entity="], "no value"),
    ],
)
def test_wrong_words_are_refused(tmp_path, words, said):
    folder = made(tmp_path / "run", "stage=sft")
    with pytest.raises(SggError, match=said.replace(".", r"\.")):
        main([str(folder), *words])
    assert not (folder / "dashboard.json").exists()


def test_runs_of_two_projects_want_to_be_told_which(tmp_path):
    folders = [made(tmp_path / p, "stage=sft", f"tracker.project={p}") for p in ("a", "b")]
    with pytest.raises(SggError, match=r"tracker\.project: a, b"):
        dashboard_of(folders, "x")
    assert dashboard_of(folders, "x", project="b").project == "b"


def test_without_the_package_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(SggError, match=r"sgg\[dashboard\]"):
        main([str(made(tmp_path / "run", "stage=sft"))])


def test_the_command_for_later_is_printed_for_ones_own_runs_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "secret"))
    folder = made(tmp_path / "run", "stage=sft")
    main([str(folder)])
    assert "neither made nor accepted" in capsys.readouterr().out
    sign_run(folder)
    main([str(folder), "entity=me"])
    said = capsys.readouterr().out
    assert "Not saved at wandb: WANDB_MODE=offline" in said
    assert f"sgg dashboard {folder} entity=me" in said


def test_settings_for_wandb_in_the_folder_are_refused(tmp_path, monkeypatch):
    folder = made(tmp_path / "run", "stage=sft")
    (folder / "wandb").mkdir()
    (folder / "wandb" / "settings").write_text("[default]\nbase_url = http://elsewhere\n")
    monkeypatch.chdir(folder)
    with pytest.raises(SggError, match="would take the server that gets your key from it"):
        main(["."])


def test_with_a_server_it_is_saved_there(tmp_path):
    """The report and the workspace; the key is neither said nor written."""
    folder = made(tmp_path / "run", "stage=eval", metrics=SCORES)
    words = [str(folder), "entity=me", "project=p"]
    with serving() as server:
        done = subprocess.run(
            [sys.executable, "-m", "sgg", "dashboard", *words],
            env={**os.environ, **server.environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        report, workspace = server.views
        place = server.environment["WANDB_BASE_URL"]
    assert server.projects == ["p"]
    assert (report["type"], workspace["type"]) == ("runs", "project-view")
    content = written(folder)
    shown = json.loads(workspace["spec"])["section"]["runSets"][0]["filters"]
    assert shown == content["workspace"]["section"]["runSets"][0]["filters"]
    assert done.stdout.splitlines()[-2].startswith(f"{place}/me/p/reports/run--")
    assert done.stdout.splitlines()[-1].startswith(f"{place}/me/p?nw=")
    assert KEY not in done.stdout + done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_a_server_that_says_no_is_an_error_of_one_line(tmp_path):
    folder = made(tmp_path / "run", "stage=sft")
    with serving() as server:
        server.takes_views = False
        done = subprocess.run(
            [sys.executable, "-m", "sgg", "dashboard", str(folder), "entity=me", "project=p"],
            env={**os.environ, **server.environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
    assert done.returncode != 0
    assert "sgg: wandb did not take the dashboard" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "dashboard.json").is_file()
