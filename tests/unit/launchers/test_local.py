"""Runs and pipelines on this machine: how one ends whose report cannot be written."""

import pytest
from report_folders import write_data, write_evaluation

from launchers.local import execute, held
from launchers.local_pipeline import execute_steps
from sgg.files import write_json
from sgg.report.page import REPORT


@pytest.fixture
def run_dir(tmp_path):
    """An evaluation that has its completions, as the only step of a pipeline."""
    write_data(tmp_path / "data")
    folder = tmp_path / "all" / "eval"
    write_evaluation(folder, tmp_path / "data", tmp_path / "cache", "sgg/assets/tiny_qwen2_vl", [3])
    write_json(folder.parent / "pipeline.json", {"steps": ["eval"], "table": ["eval"]})
    return folder


def test_a_run_whose_report_fails_is_finished(run_dir, capsys):
    (run_dir / REPORT).mkdir()
    with held(run_dir):
        execute(run_dir)
    out, err = capsys.readouterr()  # a run's own log goes on after it
    assert f"its report is not: sgg report {run_dir}\n" in err
    assert out.startswith(f"{run_dir}: 30 completions")


def test_a_pipeline_whose_report_fails_is_finished(run_dir, caplog):
    (run_dir.parent / REPORT).mkdir()
    execute_steps(run_dir.parent)
    assert f"its report is not: sgg report {run_dir.parent}" in caplog.text
    assert (run_dir.parent / "table.md").is_file()
