"""What a sweep's copy of the code holds beside sgg: reward terms of one's own."""

from __future__ import annotations

import os
import subprocess
import sys

from launchers.sweep.code_snapshot import MAX_FILES, code_environment, take_snapshot
from sgg.config.compose import compose_config

TERM = "def {name}(case):\n    return {value}\n"


def config(*paths):
    words = [
        word
        for number, path in enumerate(paths)
        for word in (
            f"++reward.terms.own{number}.import_path={path}",
            f"++reward.terms.own{number}.weight=1",
        )
    ]
    return compose_config(["stage=grpo", *words])


def taken(tmp_path, monkeypatch, *configs):
    monkeypatch.syspath_prepend(tmp_path / "work")
    take_snapshot(tmp_path / "code", configs)
    return tmp_path / "code"


def test_a_module_and_a_package_go_with_the_code(tmp_path, monkeypatch):
    work = tmp_path / "work"
    (work / "mine" / "deep").mkdir(parents=True)
    (work / "mine" / "deep" / "terms.py").write_text(TERM.format(name="one", value=1))
    (work / "mine" / "table.json").write_text("{}")
    (work / "single_term.py").write_text(TERM.format(name="two", value=2))
    first, second = config("mine.deep.terms:one"), config("single_term:two", "mine.deep.terms:one")
    code = taken(tmp_path, monkeypatch, first, second)
    assert (code / "mine" / "table.json").is_file()
    (work / "single_term.py").write_text(TERM.format(name="two", value=3))
    script = "import single_term, mine.deep.terms as t; print(single_term.two(0), t.one(0))"
    monkeypatch.setenv("PYTHONPATH", str(work))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **code_environment(code)},
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "1"]


def test_what_is_installed_or_ours_is_not_copied_again(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    code = taken(tmp_path, monkeypatch, config("numpy.linalg:norm", "sgg.reward.terms.form:format"))
    assert {p.name for p in code.iterdir()} >= {"sgg", "launchers"}
    assert not (code / "numpy").exists()


def test_a_package_that_holds_data_stays_where_it_is(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "work" / "with_data"
    folder.mkdir(parents=True)
    (folder / "terms.py").write_text(TERM.format(name="one", value=1))
    for number in range(MAX_FILES + 1):
        (folder / f"{number}.json").touch()
    code = taken(tmp_path, monkeypatch, config("with_data.terms:one"))
    assert not (code / "with_data").exists()
    assert f"{folder} is larger than code is" in caplog.text
