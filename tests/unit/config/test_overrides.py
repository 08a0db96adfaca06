"""Overrides as people type them: what is wrong is named, and the proposed word gives what was meant."""

import os
import re
import shlex

import pytest
from commands import sgg
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sgg.config.argv import assignment, unresolved
from sgg.config.compose import Composer
from sgg.config.corrections import read
from sgg.config.overrides import kind_of, read_overrides, split_flags
from sgg.errors import SggError
from sgg.explain.exceptions import explain

compose = Composer().compose


def told(*words, sweep=False):
    with pytest.raises(SggError) as error:
        read_overrides(words, sweep)
    return str(error.value)


def proposed(message):
    """The word after `Write: `, as a shell reads it."""
    [word] = shlex.split(message.partition("Write: ")[2] or message.partition("write: ")[2])
    return word


@pytest.mark.parametrize(
    ("word", "character", "place", "proposal"),
    [
        ("model.path=a=b", "=", 13, 'model.path="a=b"'),
        ("data.root=/p (1)", "(", 14, 'data.root="/p (1)"'),
        ("tracker.group=run(1)", "(", 18, 'tracker.group="run(1)"'),
        ("data.root=/a#1", "#", 13, 'data.root="/a#1"'),
        ("data.root=~/x", "~", 11, 'data.root="~/x"'),
        ("data.root=/数据/x", "数", 12, 'data.root="/数据/x"'),
        ("tracker.group=é", "é", 15, 'tracker.group="é"'),
        ("tracker.group=it's", "'", 17, 'tracker.group="it\'s"'),
        ('tracker.group=6" b', '"', 16, "tracker.group='6\" b'"),
        ("tracker.group='a", "'", 15, 'tracker.group="\'a"'),
        ("tracker.group='a' b", "a space", 18, "tracker.group=\"'a' b\""),
        ("data.root=/a]", "]", 13, 'data.root="/a]"'),
        ("data.root=[a", "[", 11, 'data.root="[a"'),
        ("generate.servers=[http://a:1", "[", 18, "generate.servers=[http://a:1]"),
        ("data.root=${", "{", 12, 'data.root="\\${"'),
        ("stage.args.x=a&b", "&", 15, 'stage.args.x="a&b"'),
        ("stage.args.x={a:b=c}", "=", 18, 'stage.args.x={a:"b=c"}'),
        ("data.root=a\nb", "a line break", 12, 'data.root="a\nb"'),
        ("data.root=a,", ",", 12, 'data.root="a,"'),
        (
            "hardware.slurm.setup=[module load x, source ~/a]",
            "~",
            45,
            'hardware.slurm.setup=[module load x,"source ~/a"]',
        ),
        ("seed =1", "a space", 5, "seed=1"),
        (" seed=1", "a space", 1, "seed=1"),
        ("--seed=1", "-", 1, "seed=1"),
        ("seed.=1", ".", 5, "seed=1"),
    ],
)
def test_the_character_is_named_shown_and_mended(word, character, place, proposal):
    message = told(word)
    assert message.startswith(f"{word}: not an override: {character} at character {place} ")
    assert proposed(message) == proposal
    read_overrides([proposal])
    if "\n" not in word:
        _, shown, caret, *_ = message.splitlines()
        assert shown == f"  {word}"
        assert len(caret) == 2 + place


@pytest.mark.parametrize(
    ("word", "proposal"),
    [
        ('hardware.environment={"A":"b"}', 'hardware.environment={A:"b"}'),
        ('hardware.slurm.sbatch={"mail-type":"FAIL"}', 'hardware.slurm.sbatch={mail-type:"FAIL"}'),
        ('reward.terms.x={"weight": 1}', "reward.terms.x={weight:1}"),
        (
            "stage.args.lr_scheduler_kwargs={'num_cycles': 2}",
            "stage.args.lr_scheduler_kwargs={num_cycles:2}",
        ),
        ("reward.terms.format.clip=[0,1", "reward.terms.format.clip=[0,1]"),
        ("reward.terms.format.clip=(0,1)", "reward.terms.format.clip=[0,1]"),
        ('model.lora.targets=["q_proj" "v_proj"]', 'model.lora.targets=["q_proj","v_proj"]'),
        ("seed=5,", "seed=5"),
        ("hardware.nodes=2;", "hardware.nodes=2"),
    ],
)
def test_a_proposal_is_what_the_key_holds(word, proposal):
    assert proposed(told(word)) == proposal
    compose(["stage=sft", proposal])


@pytest.mark.parametrize(
    "word", ["seed=1,2", "seed=a;b", "seed=(1)x", 'data.shapes=[{"a":1}', "data.shapes={a"]
)
def test_no_text_is_proposed_where_none_can_stand(word):
    assert "rite: " not in told(word)


def test_the_caret_stands_below_a_wide_character():
    _, _, caret, *_ = told("tracker.group='数据' (").splitlines()
    assert caret == f"  {' ' * len('tracker.group=xxxxxxx')}^"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seed", "Write seed=VALUE"),
        ("stats", "Did you mean 'status'?"),
        ("=1", "Write key=value as one argument"),
        ("seed=", "no value. Write seed=VALUE."),
        ("data.root=", "no value. Write data.root=VALUE, or data.root=null for none."),
        ("data.root= ", "no value"),
        ("data=a,b", "Or choose one of them"),
        ("stage=${x}", "a group takes the name of an option. Allowed: eval, grpo, sft."),
        ("~data.root", "cannot be taken out. Write data.root=null for none, or data.root=VALUE."),
        ("~hardware.nodes", "cannot be taken out. Write hardware.nodes=VALUE."),
        ("~stage", "each run needs one. Write stage=OPTION. Allowed: eval, grpo, sft."),
        ("~model", "each run needs one. Write model=OPTION."),
        ("数据=1", "数 at character 1 cannot stand in a key"),
    ],
)
def test_what_no_word_mends_is_told(word, said):
    assert said in told(word)


@pytest.mark.parametrize(
    ("word", "proposal"),
    [
        ("data.root=/a,b", 'data.root="/a,b"'),
        ("tracker.group=choice(a,b)", 'tracker.group="choice(a,b)"'),
        ("data.root=glob(*)", 'data.root="glob(*)"'),
        ("generate.servers=http://a:1,http://b:1", "generate.servers=[http://a:1,http://b:1]"),
        ("generate.servers=http://a:1", "generate.servers=[http://a:1]"),
    ],
)
def test_several_values_and_lists(word, proposal):
    assert proposed(told(word)) == proposal
    read_overrides([proposal])
    if "," in word:
        assert read_overrides([word], sweep=True)[0].is_sweep_override()


def test_each_value_of_a_sweep_is_mended_by_itself():
    proposal = proposed(told("data.root=/a(1),/b", sweep=True))
    assert proposal == 'data.root="/a(1)",/b'
    assert len(list(read_overrides([proposal], sweep=True)[0].sweep_iterator())) == 2


def test_all_words_that_are_wrong_are_told_at_once():
    message = told("seed", "data.root=~/x", "stage=sft")
    assert message.count("not an override") == 2


@pytest.mark.parametrize(
    "value", ["1e3", "1_000", "007", "true", "No", "1.50", "nan", "2024", "a b", "x:y", "50%", "$5"]
)
def test_text_stays_the_text_that_was_typed(value):
    config = compose([f"tracker.group={value}", f"hardware.environment.A={value}"])
    assert (config.tracker.group, config.hardware.environment["A"]) == (value, value)


def test_numbers_and_null_stay_what_they_are():
    config = compose(["seed=1_000", "tracker.group=null", "stage.args.x=1e3", "data.root='1'"])
    assert (config.seed, config.tracker.group, config.stage.args["x"]) == (1000, None, 1000.0)
    assert config.data.root == "1"
    read = compose(["prompt.system=", "hardware.environment.A="])
    assert (read.prompt.system, read.hardware.environment) == ("", {"A": ""})


def test_values_of_a_sweep_over_text_stay_text():
    [word] = read_overrides(["tracker.group=1e3, b,true"], sweep=True)
    assert list(word.sweep_string_iterator()) == ['"1e3"', "b", '"true"']


TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=12) | st.text(
    st.sampled_from("ab=,()[]{}'\"\\#~$ {}:%\n\t.-+*!&;<>|^`@?1e3é图/"), max_size=10
)


@given(key=st.sampled_from(["data.root", "stage.args.x", "model.path"]), text=TEXTS)
@example(key="data.root", text="\\")
@example(key="data.root", text="a${b")
@example(key="data.root", text="'\\")
def test_every_proposal_gives_the_text_that_was_typed(key, text):
    """Pasted into a shell it is one word, from which Hydra reads the text, or a list or mapping of it."""
    message = ""
    try:
        read_overrides([f"{key}={text}"])
    except SggError as error:
        message = str(error)
    if not message or not text.strip(" \t"):
        assert bool(message) == (not text.strip(" \t"))
        return
    override = read(proposed(message))
    value = override.value()
    assert override.key_or_group == key
    assert value in (text, unresolved(text)) or (
        not isinstance(value, str) and text.strip()[0] in "[{"
    )


@given(text=TEXTS)
def test_an_assignment_is_the_text_whatever_it_holds(text):
    value = read(assignment("data.root", text)).value()
    if text != "???":
        assert OmegaConf.to_container(OmegaConf.create({"x": value}), resolve=True)["x"] == text


@pytest.mark.parametrize(
    ("word", "said", "literal"),
    [
        (
            "tracker.group=${HOME}",
            "${HOME} is looked up in the config, which has no HOME",
            "${HOME}",
        ),
        ("data.root=${HOME}/x", "${HOME} is looked up in the config", "${HOME}/x"),
        (
            "tracker.group=${oc.env:SGG_NOPE}",
            "the environment has no SGG_NOPE",
            "${oc.env:SGG_NOPE}",
        ),
        ("tracker.group=${nope:1}", "${nope:…} is not known", "${nope:1}"),
        ('tracker.group="a${"', "what ${ begins has no end", "a${"),
        ('tracker.group="\\${a}${HOME}"', "has no HOME", "${a}${HOME}"),
    ],
)
@pytest.mark.parametrize("causes", ["0", "1"])
def test_what_is_looked_up_in_vain_names_its_key_and_both_ways_out(
    word, said, literal, causes, monkeypatch
):
    """Also where OmegaConf keeps the causes of its errors, as it does under coverage and a debugger."""
    monkeypatch.setenv("OC_CAUSE", causes)
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(Exception, match=r".") as error:
        compose([word])
    message = explain(error.value)
    key = word.partition("=")[0]
    assert message.startswith(f"{key}=")
    assert said in message
    written = [shlex.split(part)[0] for part in re.findall(r"write: (.*)", message)]
    configs = [compose([w]) for w in written]
    found = [c.tracker.group if key == "tracker.group" else c.data.root for c in configs]
    assert found[0] == literal
    if "which has no HOME" in message:
        assert found[1] == literal.replace("${HOME}", os.environ["HOME"])


def test_an_element_of_a_list_is_mended_in_its_list():
    with pytest.raises(Exception, match="JOB") as error:
        compose(["hardware.slurm.setup=[module load x,'cd ${JOB}']"])
    word = shlex.split(explain(error.value).partition("write: ")[2])[0]
    assert compose([word]).hardware.slurm.setup == ["module load x", "cd ${JOB}"]


def test_a_list_has_no_keys():
    for word in ("hardware.slurm.setup.x=1", "hardware.slurm.setup.x.y=1", "generate.servers.x=1"):
        with pytest.raises(SggError, match=r"is a list, which has no keys\. Write [a-z.]+=\[…\]"):
            read_overrides([word])
    read_overrides(["data.image_folder.0=a", "hardware.slurm.sbatch.x=1"])


def test_an_error_that_is_its_own_cause_is_told(monkeypatch):
    monkeypatch.setenv("OC_CAUSE", "1")
    with pytest.raises(Exception, match=r".") as error:
        compose(["hardware.nodes=many"])
    assert "hardware.nodes" in explain(error.value)


def test_kinds_of_keys():
    assert kind_of("data.root") is str
    assert kind_of("stage.global_batch") is int
    assert kind_of("stage.shuffle_images") is bool
    assert kind_of("hardware.environment.A") is str
    assert kind_of("nope.x") is None


def test_flags_may_stand_anywhere():
    words = ["seed=1", "--cfg", "job", "stage=eval", "-m", "--info", "config", "--package=x", "a=b"]
    flags, rest = split_flags(words)
    assert rest == ["seed=1", "stage=eval", "a=b"]
    assert flags == ["--cfg", "job", "-m", "--info", "config", "--package=x"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "1"], "--seed: no such flag. Keys are set without dashes: seed=1."),
        (["--multi"], "no such flag. Did you mean '--multirun'?"),
        (["-x"], "-x: no such flag."),
    ],
)
def test_flags_that_hydra_does_not_have(words, said):
    with pytest.raises(SggError) as error:
        split_flags(words)
    assert str(error.value).startswith(words[0])
    assert said in str(error.value)


def test_folders_of_paths_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    paths = compose(['paths.root="~/runs"', 'paths.run_dir="~/a"', "paths.cache='~/c'"]).paths
    assert (paths.root, paths.run_dir, paths.cache) == ("/home/me/runs", "/home/me/a", "/home/me/c")
    with pytest.raises(RuntimeError) as error:
        compose(['paths.root="~nosuchuser/x"'])
    assert "Write the whole path" in explain(error.value)


def test_flags_and_words_in_any_order_reach_hydra(tmp_path):
    """As a user types it; and a tool says it, too."""
    done = sgg("tracker.group=1e3", "--cfg", "job", "stage=eval", cwd=tmp_path)
    assert "group: 1e3" in done.stdout.replace("'", "").replace('"', "")
    assert "shuffle_images" in done.stdout
    done = sgg("prepare", "--data=jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "Write: data=jsonl" in done.stderr
