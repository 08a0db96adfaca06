"""Tools on a run folder take its frozen config: what further words cannot change is refused."""

import json

import pytest

from sgg.cli.prepare import main as prepare
from sgg.cli.reward import main as reward
from sgg.cli.run_config import config_for
from sgg.cli.serve import main as serve
from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.config.reward import TermConfig
from sgg.errors import SggError
from sgg.plan.validate import validate
from sgg.runs.signature import sign_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_frozen(compose_config(["stage=eval", "seed=4"]), folder / "config.yaml")
    return folder


@pytest.mark.parametrize(
    "word",
    [
        *("debug=fast", "experiment=eval_2b", "++debug=steps", "~reward.terms.format", "model@x=y"),
        *("hydra.launcher.parallel=2", "pipeline=demo", "dry_run=true", "choices.a=b"),
    ],
)
@pytest.mark.parametrize("of", ["", "completions.jsonl"])
def test_what_would_be_ignored_is_refused(word, of, run):
    with pytest.raises(SggError, match="would be ignored") as error:
        config_for(run / of, [word])
    assert str(error.value).startswith(f"{word} ")


@pytest.fixture
def with_own_terms(tmp_path, importable):
    """A run with a reward term of its author's, which leaves a mark, a gated one, and one gated by that."""
    (importable / "own_term.py").write_text(
        f"open({str(tmp_path / 'mark')!r}, 'w')\ndef f(case):\n    return 0.5\n"
    )
    config = compose_config(["stage=grpo", "reward=soft_recall", "paths.cache=/nowhere/cache"])
    config.reward.terms["x"] = TermConfig(import_path="own_term:f")
    config.reward.terms["node_f1"] = TermConfig(gate="x")
    config.reward.terms = {"edge_f1": TermConfig(gate="node_f1"), **config.reward.terms}
    run = tmp_path / "run"
    run.mkdir()
    write_frozen(config, run / "config.yaml")
    own = {"width": 100, "height": 100, "gold": {"objects": [], "relationships": []}}
    row = {"image_id": "7", "index": 0, "text": "no", **own}
    (run / "completions.jsonl").write_text(json.dumps(row) + "\n")
    return run


def test_of_a_strangers_run_nothing_is_imported(with_own_terms, tmp_path, capsys):
    config = config_for(with_own_terms, ["seed=5"])
    assert not {"x", "node_f1", "edge_f1"} & config.reward.terms.keys()
    assert config.paths.cache != "/nowhere/cache"
    reward([str(with_own_terms)])
    told = capsys.readouterr()
    assert "edge_soft" in told.out.splitlines()[0].split()
    assert "x" not in told.out.splitlines()[0].split()
    for name in ("x", "node_f1", "edge_f1"):
        assert (
            f"reward.terms.{name} is not computed: you have neither made nor accepted" in told.err
        )
    validate(config)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("own", [True, False])
def test_own_and_trusted_terms_are_computed(with_own_terms, tmp_path, capsys, own):
    if own:
        sign_run(with_own_terms)
    reward([str(with_own_terms), *([] if own else ["trust=true"])])
    told = capsys.readouterr()
    assert {"x", "node_f1"} <= {*told.out.splitlines()[0].split()}
    assert "not computed" not in told.err
    assert (tmp_path / "mark").exists()


def test_keys_and_groups_change_it(run):
    words = ["data.eval.limit=8", "++seed=5", "reward=soft_recall", "generate=sampled"]
    config = config_for(run, words)
    assert (config.data.eval.limit, config.seed, config.generate.temperature) == (8, 5, 1.0)
    assert "edge_soft" in config.reward.terms


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        (prepare, ["dry_run=true"]),
        (prepare, ["pipeline=demo"]),
        (serve, ["choices.a=b"]),
        (serve, ["debug=fast"]),
    ],
)
def test_tools_that_start_no_run_say_so(tool, words):
    with pytest.raises(SggError, match=r"would be ignored: this tool starts no run"):
        tool(words)
