"""Nothing is written or read through a symbolic link: a link in a stranger's folder may point anywhere."""

import errno
import os
import stat

import pytest
from scoring import evaluated

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import (
    make_output_folder,
    opened,
    read_json,
    whole_file,
    write_first,
    write_json,
    write_whole,
)
from sgg.report.page import REPORT, write_report
from sgg.runs.folder import LogFile, append_json, read_json_lines
from sgg.runs.lease import Lease
from sgg.runs.open_run import open_run
from sgg.scene.graph import SceneGraph


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_text("mine")
    return path


def is_loop(error):
    return error.value.errno == errno.ELOOP


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path, victim):
    link = tmp_path / "link"
    link.symlink_to(victim)
    write_whole(link, "new")
    assert victim.read_text() == "mine"
    assert not link.is_symlink()
    assert link.read_text() == "new"


def test_the_name_of_a_file_in_the_making_cannot_be_foreseen(tmp_path):
    seen = set()
    for _ in range(3):
        with whole_file(tmp_path / "a") as file:
            (partial,) = (p for p in tmp_path.iterdir() if p.name != "a")
            assert os.path.samestat(os.fstat(file.fileno()), partial.stat())
            seen.add(partial.name)
    assert len(seen) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_ends_by_an_error_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "a", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a", "new\ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_rights_are_those_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", "")
        write_first(tmp_path / "b", b"", permissions=0o600)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o600]


def test_of_several_makers_the_first_wins(tmp_path):
    assert write_first(tmp_path / "a", b"first")
    assert not write_first(tmp_path / "a", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"first")]


@pytest.mark.parametrize("use", [read_json, read_json_lines, lambda path: append_json(path, {})])
def test_nothing_is_read_or_appended_through_a_link(tmp_path, use):
    victim, link = tmp_path / "victim.json", tmp_path / "link.json"
    victim.write_text("{}\n")
    link.symlink_to(victim)
    with pytest.raises(OSError, match=r"link\.json") as error:
        use(link)
    assert is_loop(error)
    assert "through a symbolic link" in explain(error.value)
    assert victim.read_text() == "{}\n"


def test_a_log_is_not_written_through_a_link(tmp_path, victim):
    (tmp_path / "run.log").symlink_to(victim)
    with pytest.raises(OSError, match=r"run\.log") as error:
        LogFile(tmp_path / "run.log")
    assert is_loop(error)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    for use in (read_json, opened, read_json_lines):
        with pytest.raises(SggError, match=r"a\.json: no regular file"):
            use(tmp_path / "a.json")


def test_a_folder_that_is_a_link_is_no_place_to_write_to(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    (tmp_path / "dangling").symlink_to("nowhere")
    scored = evaluated((SceneGraph(), SceneGraph()))
    run_dir = open_run(compose_config(["stage=sft", f"paths.run_dir={tmp_path / 'run'}"]))
    for link in (tmp_path / "link", tmp_path / "dangling"):
        for write in (
            make_output_folder,
            scored.write,
            lambda folder: write_report([run_dir], folder),
        ):
            with pytest.raises(OSError, match="a symbolic link to") as error:
                write(link)
            assert is_loop(error)
    assert not any((tmp_path / "theirs").iterdir())
    assert not (tmp_path / "nowhere").exists()


def test_below_a_link_is_a_place_like_any_other(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "runs").symlink_to("scratch")
    write_json(make_output_folder(tmp_path / "runs" / "a") / "b.json", 1)
    assert read_json(tmp_path / "scratch" / "a" / "b.json") == 1


@pytest.mark.parametrize("name", ["owners", "logs", "model", REPORT])
def test_no_run_starts_in_a_folder_with_a_link_in_it(tmp_path, name):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to("../theirs")
    with (
        pytest.raises(OSError, match="a symbolic link") as error,
        Lease(tmp_path / "run"),
    ):
        pass
    assert is_loop(error)
    assert not any((tmp_path / "theirs").iterdir())
