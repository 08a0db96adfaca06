"""Tools on a run folder take its frozen config: what further words cannot change is refused."""

import pytest

from sgg.cli.prepare import main as prepare
from sgg.cli.run_config import config_for
from sgg.cli.serve import main as serve
from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.errors import SggError


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
