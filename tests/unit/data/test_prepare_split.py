"""From a source to a prepared table: every issue counted, cached once, never half done."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from data_files import (
    BOXES,
    NEAR,
    config,
    jsonl_config,
    line,
    prepared,
    raw,
    rotated,
    triplets,
    truncated,
    write_image,
    write_lines,
)
from PIL import Image

from sgg.config.data import (
    BoxFormat,
    Duplicates,
    ImageCheck,
    ImageSource,
    Source,
    VocabularyName,
)
from sgg.data import workers as parallel
from sgg.data.clean import KINDS, Policy
from sgg.data.prepare import image_store, open_reader, prepare
from sgg.data.prepared_split import example
from sgg.data.sources import jsonl
from sgg.data.sources.table import SOURCES
from sgg.data.workers import Job, clean_all
from sgg.errors import SggError

OF_OTHER_SETS = {
    *("crowd", "pixel_box", "percent_boxes", "thousandth_boxes", "lone_classes", "too_many")
}
"""Kinds of another source, of another box format, and those that take many boxes to show."""
EACH_ONCE = dict.fromkeys(set(KINDS) - OF_OTHER_SETS, 1) | {"unknown_class": 2}
"""What is issues with `dirty_folder`."""


def dirty_folder(root):
    """Thirteen lines that show every kind of finding but for few relations, one of them good."""
    write_image(root / "good.jpg")
    write_image(root / "messy.jpg")
    write_image(root / "lonely.jpg")
    write_image(root / "thin.png", (201, 1))
    write_image(root / "wrong.png", (50, 50))
    write_image(root.parent / "elsewhere.png")
    truncated(root / "cut.png")
    rotated(root / "turned.jpg", (80, 100))
    wide = Image.new("I;16", (100, 80))
    wide.save(root / "odd.tif", tiffinfo={274: 9}, save_all=True, append_images=[wide])
    messy = line("messy.jpg", BOXES | {"dog.3": [0, 0, "x", 5], "dog.4": [20, 20, 20, 40]})
    messy["objects"] += [
        {"id": "tree.5", "bbox": [-5, 0, 40, 40]},
        {"id": "man.1", "bbox": [0, 0, 5, 5]},
        {"id": "alien.6", "bbox": [1, 1, 9, 9]},
        {"id": "dog.7", "bbox": ["1", 1, 9, 9]},
        {"id": "dog.8", "bbox": [0.1, 0.1, 0.9, 0.9]},
        {"id": "dog.9", "bbox": [30, 30, 20, 40]},
        {"id": "dog.10", "bbox": [100, 30, 120, 40]},
        {"id": "dog.11", "bbox": [30, 30, 30.5, 40]},
        {"id": "dog.12", "name": 12, "bbox": [30, 30, 50, 40]},
        {"id": "man", "name": "man", "bbox": [30, 30, 50, 40]},
        {"id": "man_14", "name": "man 14", "bbox": [30, 30, 50, 40]},
    ]
    messy["relationships"] = [
        {"subject": s, "predicate": p, "object": o}
        for s, p, o in [
            ("man.1", "near", "tree.5"),
            ("man.1", "near", "tree.5"),
            ("man.1", "zaps", "alien.6"),
            ("man.1", "on", "dog.3"),
            ("man", "on", "man"),
            ("man", 31, "dog.7"),
        ]
    ]
    rows = [
        line("good.jpg", BOXES, NEAR),
        "{broken",
        line("missing.jpg", BOXES, NEAR),
        line("cut.png", BOXES, NEAR),
        line("wrong.png", BOXES, NEAR),
        line("thin.png", BOXES, NEAR, size=(201, 1)),
        line("good.jpg", BOXES, NEAR),
        messy,
        line("lonely.jpg", BOXES, []),
        line("turned.jpg", BOXES, NEAR),
        line("turned.jpg", BOXES, NEAR, size=(80, 100), image_id="lying"),
        line("odd.tif", BOXES, NEAR),
        line("../elsewhere.png", BOXES, NEAR),
    ]
    return write_lines(root, rows)


def test_every_kind_is_counted(tmp_path):
    data = jsonl_config(dirty_folder(tmp_path), vocabulary=VocabularyName.vg150, min_relations=1)
    result = prepared(data, tmp_path)
    assert result.report["issues"] == EACH_ONCE
    assert result.report["shown"] == {
        "unreadable_row": [
            "annotations.jsonl:2 (JSONDecodeError: Expecting property name enclosed in double quotes:"
            " line 1 column 2 (char 1))"
        ],
        "no_image": ["missing"],
        "broken_image": ["cut"],
        "outside_folder": ["../elsewhere"],
        "wrong_size": ["wrong"],
        "bad_size": ["thin"],
        "duplicate_image": ["good"],
        "few_relations": ["lonely"],
        "no_class": ["messy (12)"],
        "no_predicate": ["messy (31)"],
        "numbered_class": ["messy (man 14)"],
        "turned": ["turned"],
        "size_before_turn": ["lying"],
        **{kind: ["odd"] for kind in ("damaged_exif", "several_frames", "wide_grey")},
        **{
            kind: ["messy"]
            for kind in (
                "bad_box",
                "text_box",
                "relative_box",
                "swapped_box",
                "degenerate_box",
                "outside_box",
                "box_past_edge",
                "tiny_box",
                "self_relation",
                "duplicate_id",
                "unknown_class",
                "unknown_predicate",
                "duplicate_relation",
                "dangling_relation",
            )
        },
    }
    # twelve lines can be read: eleven with two objects, one with fifteen
    assert result.report["read"] == {"images": 13, "objects": 37, "relations": 16}
    assert result.report["kept"] == {"images": 4, "objects": 14, "relations": 6}
    assert result.rows["image_id"] == ["good", "messy", "turned", "odd"]
    graph = result.gold(1)["graph"]
    assert [(n.name, n.box) for n in graph.nodes] == [
        ("man", (10, 10, 50, 60)),
        ("dog", (40, 30, 90, 70)),
        ("tree", (0, 0, 40, 40)),
        ("alien", (1, 1, 9, 9)),
        ("dog", (1, 1, 9, 9)),
        ("dog", (30, 30, 30.5, 40)),
        ("man", (30, 30, 50, 40)),
        ("man 14", (30, 30, 50, 40)),
    ]
    assert triplets(graph) == [
        ("man", "near", "tree"),
        ("man", "zaps", "alien"),
        ("man", "on", "man"),
    ]


@pytest.mark.parametrize(
    ("options", "issues", "kept"),
    [
        # tree.5 goes, and with it two relations
        ({"clip_boxes": False}, {"dangling_relation": 3}, (5, 15, 5)),
        ({"duplicates": Duplicates.keep}, {}, (5, 16, 7)),
        # alien.6 and man 14 go, and a relation with the former before its predicate is looked at
        ({"drop_unknown": True}, {"dangling_relation": 2, "unknown_predicate": 0}, (5, 14, 5)),
        (
            {"vocabulary": VocabularyName.none},
            {"unknown_class": 0, "unknown_predicate": 0},
            (5, 16, 6),
        ),
        ({"min_relations": 2}, {"few_relations": 5}, (1, 8, 3)),
        # the header of the cut image is whole
        ({"image_check": ImageCheck.header}, {"broken_image": 0}, (6, 18, 7)),
    ],
)
def test_options_change_what_is_kept(tmp_path, options, issues, kept):
    values = {"vocabulary": VocabularyName.vg150, **options}
    result = prepared(jsonl_config(dirty_folder(tmp_path), **values), tmp_path)
    common = EACH_ONCE | {"few_relations": 0}
    if options.get("min_relations") == 2:
        common["duplicate_image"] = 0  # neither of the two reaches the table
    expected = {k: v for k, v in (common | issues).items() if v}
    assert result.report["issues"] == expected
    assert tuple(result.report["kept"].values()) == kept
    assert len(result) == kept[0]


def folder_of(root, count=3):
    for i in range(count):
        write_image(root / f"{i}.png")
    return write_lines(root, [line(f"{i}.png", BOXES, NEAR) for i in range(count)])


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ({"offset": 1}, ["1", "2"]),
        ({"limit": 2}, ["0", "1"]),
        ({"offset": 1, "limit": 1}, ["1"]),
        ({"offset": 2, "limit": 9}, ["2"]),
    ],
)
def test_offset_and_limit(tmp_path, split, ids):
    data = config("jsonl", folder_of(tmp_path), {"path": "annotations.jsonl", **split})
    assert prepared(data, tmp_path).rows["image_id"] == ids


def test_graphs_survive_the_table(tmp_path):
    objects = {
        "no. 7.1": [0.25, 1, 99.875, 80],
        'a "b"\\.2': [1, 2, 3, 4],
        "wall_tile.3": [5, 5, 9, 9],
    }
    relations = [("no. 7.1", "IN front-of", "wall_tile.3")]
    write_image(tmp_path / "a.png")
    write_lines(tmp_path, [line("a.png", objects, relations, vocabulary="psg")])
    data = jsonl_config(tmp_path)
    item = example(prepared(data, tmp_path).rows[0], image_store(data, "eval"))
    assert [(n.name, n.box) for n in item.graph.nodes] == [
        ("no. 7", (0.25, 1, 99.875, 80)),
        ('a "b"\\', (1, 2, 3, 4)),
        ("wall_tile", (5, 5, 9, 9)),
    ]
    assert triplets(item.graph) == [("no. 7", "IN front-of", "wall_tile")]
    assert item.columns == {"vocabulary": "psg"}
    assert (item.image_id, item.width, item.height) == ("a", 100, 80)


# ------------------------------------------------------------------------------------ fingerprint


def test_the_same_content_elsewhere_has_the_same_fingerprint_and_its_own_images(tmp_path):
    first = prepared(jsonl_config(folder_of(tmp_path / "one")), tmp_path)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shutil.rmtree(tmp_path / "one")
    data = jsonl_config(tmp_path / "two", workers=2)
    second = prepared(data, tmp_path)
    assert second.fingerprint == first.fingerprint
    assert len(first.fingerprint) == 16
    assert example(second.rows[0], image_store(data, "eval")).image.size == (100, 80)


def test_images_moved_to_another_folder_keep_the_fingerprint(tmp_path):
    folder_of(tmp_path / "one")
    first = prepared(jsonl_config(tmp_path / "one"), tmp_path)
    (tmp_path / "pictures").mkdir()
    for path in (tmp_path / "one").glob("*.png"):
        path.rename(tmp_path / "pictures" / path.name)
    data = jsonl_config(tmp_path / "one", image_folder=str(tmp_path / "pictures"))
    assert prepared(data, tmp_path).fingerprint == first.fingerprint
    assert prepared(data, tmp_path).report["issues"] == {}


@pytest.mark.parametrize(
    "values",
    [
        {"box_format": BoxFormat.xywh},
        {"clip_boxes": False},
        {"duplicates": Duplicates.keep},
        {"vocabulary": VocabularyName.vg150},
        {"drop_unknown": True},
        {"min_relations": 1},
        {"image_check": ImageCheck.header},
        {"image_source": ImageSource.painted},
        {"split": {"offset": 1}},
        {"split": {"limit": 2}},
    ],
    ids=str,
)
def test_options_that_matter_change_the_fingerprint(tmp_path, values):
    folder_of(tmp_path)
    split = {"path": "annotations.jsonl", **values.pop("split", {})}
    plain = prepared(jsonl_config(tmp_path), tmp_path)
    assert (
        prepared(config("jsonl", tmp_path, split, **values), tmp_path).fingerprint
        != plain.fingerprint
    )


def test_any_change_of_the_annotations_changes_the_fingerprint(tmp_path):
    data = jsonl_config(folder_of(tmp_path))
    first = prepared(data, tmp_path)
    file = tmp_path / "annotations.jsonl"
    file.write_text(file.read_text().replace("near", "NEAR"))  # same length
    second = prepared(data, tmp_path)
    assert second.fingerprint != first.fingerprint
    assert triplets(second.gold(0)["graph"]) == [("man", "NEAR", "dog")]
    file.write_text(file.read_text().replace("NEAR", "near"))
    assert prepared(data, tmp_path).fingerprint == first.fingerprint


def test_parts_have_tables_of_their_own(tmp_path):
    data = jsonl_config(folder_of(tmp_path))
    data.train.path, data.train.limit = "annotations.jsonl", 1
    assert len(prepare(data, "train", tmp_path / "cache", quiet=True)) == 1
    assert len(prepared(data, tmp_path)) == 3


# ------------------------------------------------------------------------------------------ cache


def tables(tmp_path):
    return {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").glob("*/*") if p.is_file()}


def test_the_second_time_comes_from_the_cache(tmp_path):
    data = jsonl_config(folder_of(tmp_path))
    first, before = prepared(data, tmp_path), tables(tmp_path)
    second = prepared(data, tmp_path)
    assert before
    assert tables(tmp_path) == before
    assert second.rows[:] == first.rows[:]
    assert second.report == first.report


def test_a_mended_image_is_found_again(tmp_path):
    data = jsonl_config(dirty_folder(tmp_path))
    first, before = prepared(data, tmp_path), tables(tmp_path)
    rest = ["messy", "lonely", "turned", "odd"]
    assert first.rows["image_id"] == ["good", *rest]
    assert prepared(data, tmp_path).rows["image_id"] == ["good", *rest]
    assert tables(tmp_path) == before
    for mended, ids in [
        (tmp_path / "missing.jpg", ["good", "missing", *rest]),
        (tmp_path / "cut.png", ["good", "missing", "cut", *rest]),
        (tmp_path / "wrong.png", ["good", "missing", "cut", "wrong", *rest]),
    ]:
        write_image(mended)
        result = prepared(data, tmp_path)
        assert result.rows["image_id"] == ids
        assert result.fingerprint == first.fingerprint


def test_a_link_that_is_turned_to_another_folder_is_followed(tmp_path):
    folder_of(tmp_path / "v1")
    folder_of(tmp_path / "v2")
    (tmp_path / "v2" / "1.png").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    data = jsonl_config(tmp_path / "v1", image_folder=str(tmp_path / "current"))
    assert prepared(data, tmp_path).report["issues"] == {}
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "v2")
    assert prepared(data, tmp_path).report["issues"] == {"no_image": 1}


def test_a_image_changed_after_it_was_checked_is_no_silent_error(tmp_path):
    data = jsonl_config(folder_of(tmp_path))
    prepared(data, tmp_path)
    write_image(tmp_path / "1.png", (80, 100))
    rows, store = prepared(data, tmp_path).rows, image_store(data, "eval")
    assert example(rows[0], store).image.size == (100, 80)
    with pytest.raises(SggError) as caught:
        example(rows[1], store)
    assert str(caught.value).startswith(f"data.eval: image {tmp_path}/1.png is 80 × 100, but was")
    assert "was prepared as 100 × 80." in str(caught.value)
    assert "`sgg prepare`" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda path: path.unlink(), "no_image"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "broken_image"),
        (lambda path: write_image(path, (80, 100)), "wrong_size"),  # as many bytes as before
    ],
)
def test_preparing_again_finds_images_that_changed(tmp_path, change, kind):
    """The way out that the error above names."""
    root = tmp_path / "root"
    for i in range(3):
        write_image(root / f"{i}.bmp")
    data = jsonl_config(write_lines(root, [line(f"{i}.bmp", BOXES, NEAR) for i in range(3)]))
    assert len(prepared(data, tmp_path)) == 3
    before = tables(tmp_path)
    prepare(data, "eval", tmp_path / "cache", quiet=True, every_image=True)
    assert tables(tmp_path) == before  # nothing changed: nothing is made again
    change(root / "1.bmp")
    assert len(prepared(data, tmp_path)) == 3  # a run does not look at each file
    again = prepare(data, "eval", tmp_path / "cache", quiet=True, every_image=True)
    assert again.rows["image_id"] == prepared(data, tmp_path).rows["image_id"] == ["0", "2"]
    assert again.report["issues"] == {kind: 1}


def test_a_killed_build_leaves_nothing_usable(tmp_path):
    """The build is killed while it looks at its second image."""
    root, cache = folder_of(tmp_path / "root"), tmp_path / "cache"
    data, reached = jsonl_config(root), tmp_path / "reached"
    process = multiprocessing.get_context("fork").Process(
        target=_hang_at, args=(root / "1.png", reached, data, tmp_path)
    )
    process.start()
    for _ in range(2000):
        if reached.exists():
            break
        time.sleep(0.005)
    assert reached.exists()
    assert list(cache.glob("*.lock"))
    process.kill()
    process.join()
    assert not [p for p in cache.iterdir() if p.is_dir()]
    assert prepared(data, tmp_path).report["kept"]["images"] == 3


def _hang_at(file, reached, data, tmp_path):
    """Prepare, and never come back from a look at the file."""
    look = parallel.look_at_file

    def hanging(ref, decode, note):
        if ref == f"file:{file}":
            reached.touch()
            time.sleep(600)
        return look(ref, decode, note)

    parallel.look_at_file = hanging
    prepared(data, tmp_path)


def test_what_a_killed_build_left_does_not_matter(tmp_path):
    data = jsonl_config(folder_of(tmp_path))
    fingerprint = prepared(data, tmp_path).fingerprint
    (table,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    assert fingerprint in table.name
    table.rename(table.with_suffix(f".partial-{os.getpid()}"))  # as of a process of the same number
    (table.with_suffix(".partial-1")).mkdir()
    for half in (tmp_path / "cache").glob("*.partial-*/*.arrow"):
        half.write_bytes(half.read_bytes()[:100])
    assert len(prepared(data, tmp_path)) == 3
    assert table.is_dir()


# -------------------------------------------------------------------------------------- processes


def many(tmp_path):
    """700 lines, three chunks, with something issues in each."""
    rows = [
        line(f"{i}.png", BOXES, NEAR * (1 + i % 2), size=(100, 80) if i % 100 else (0, 0))
        for i in range(700)
    ]
    rows[650] = rows[3]
    return jsonl_config(write_lines(tmp_path / "many", rows), image_source=ImageSource.painted)


@pytest.mark.parametrize("make", [many, lambda _: config("shapes", split={"limit": 600})])
def test_the_number_of_processes_does_not_show(tmp_path, make):
    results = []
    for workers in (1, 2, 0):
        data = make(tmp_path)
        data.workers = workers
        results.append(prepare(data, "eval", tmp_path / f"cache{workers}", quiet=True))
    first = results[0]
    for other in results[1:]:
        assert other.rows[:] == first.rows[:]
        assert other.report == first.report
        assert other.fingerprint == first.fingerprint
    if make is many:
        # 350 odd lines state theirs twice; line 650 is line 3 again, and 7 sizes are bad
        assert first.report["issues"] == {
            "bad_size": 7,
            "duplicate_relation": 351,
            "duplicate_image": 1,
        }
        assert first.report["kept"] == {"images": 692, "objects": 1384, "relations": 692}


class OneFails:
    """Rows of which one fails."""

    zero_shot = frozenset()

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 600

    def identity(self):
        return ""

    def read(self, index):
        if index == 500:
            self.fail()
        return raw(image_id=str(index))


def test_a_killed_process_is_told_in_words():
    job = Job(OneFails(lambda: os._exit(9)), Policy(), None)
    with pytest.raises(
        SggError, match=r"One of 2 processes .* was killed.* data\.workers to less than 2"
    ):
        list(clean_all(job, range(600), 2))
    assert parallel._job is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_in_a_reader_is_not_hidden(workers):
    def fail():
        raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError, match="bug"):
        list(clean_all(Job(OneFails(fail), Policy(), None), range(600), workers))
    assert parallel._job is None


# --------------------------------------------------------------------------------------- messages


def test_nothing_usable_is_told_with_reasons(tmp_path):
    write_lines(tmp_path, [line("a.png", BOXES), "{", line("b.png", BOXES)])
    data = jsonl_config(tmp_path)
    for _ in range(2):  # told again from the cache
        with pytest.raises(SggError) as caught:
            prepared(data, tmp_path)
    message = str(caught.value).splitlines()
    assert message[0] == "data.eval: none of 3 images is usable."
    assert message[1] == "  no_image: 2 (its file is missing; image dropped), first a, b"
    assert message[2].startswith("  unreadable_row: 1 (the row could not be read; image dropped), ")
    assert message[3].startswith(
        "Set data.image_folder to the folder of the images, or data.image_source=p"
    )
    write_image(tmp_path / "a.png")
    assert prepared(data, tmp_path).rows["image_id"] == ["a"]


def test_an_offset_past_the_end(tmp_path):
    split = {"path": "annotations.jsonl", "offset": 3}
    data = config("jsonl", folder_of(tmp_path), split)
    with pytest.raises(
        SggError, match=r"data\.eval: the source has no image from data\.eval\.offset"
    ):
        prepared(data, tmp_path)


@pytest.mark.parametrize("source", ["jsonl", "gqa", "psg", "vrd", "vg"])
def test_a_root_is_needed_and_must_be_there(tmp_path, source):
    split = {"path": "x.json"}
    with pytest.raises(SggError, match=r"^data\.root must be given: the folder"):
        open_reader(config(source, None, split), "eval")
    with pytest.raises(SggError, match=r"^data\.root=.*nowhere: no such folder"):
        open_reader(config(source, tmp_path / "nowhere", split), "eval")


def test_a_root_below_home(tmp_path, monkeypatch):
    folder_of(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(prepared(config("jsonl", "~/data", {"path": "annotations.jsonl"}), tmp_path)) == 3


def test_preparing_shows_one_bar_and_quiet_none(tmp_path, capfd):
    data = jsonl_config(folder_of(tmp_path))
    prepare(data, "eval", tmp_path / "loud")
    loud = capfd.readouterr().err
    assert "prepare eval: 100%" in loud
    assert "Saving" not in loud
    prepare(data, "eval", tmp_path / "still", quiet=True)
    assert capfd.readouterr().err == ""


def test_the_report_lies_beside_the_table(tmp_path):
    result = prepared(jsonl_config(dirty_folder(tmp_path)), tmp_path)
    (report,) = (tmp_path / "cache").glob("*/report.json")
    assert json.loads(report.read_text()) == result.report


def test_a_changed_reader_is_run_again(tmp_path, monkeypatch):
    """Whoever writes a reader never gets the table of an earlier try."""
    module = tmp_path / "edited_reader.py"
    module.write_text(Path(jsonl.__file__).read_text())
    monkeypatch.setitem(SOURCES, Source.jsonl, _loaded(module, monkeypatch).SOURCE)
    write_image(tmp_path / "a.png")
    data = jsonl_config(write_lines(tmp_path, [line("a.png", BOXES, NEAR)]))
    before = prepared(data, tmp_path)
    changed = module.read_text().replace("def __len__(self)", "def __len__(self, more=0)")
    module.write_text(changed)
    monkeypatch.setitem(SOURCES, Source.jsonl, _loaded(module, monkeypatch).SOURCE)
    assert prepared(data, tmp_path).fingerprint == before.fingerprint
    tables = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(tables) == 2


def _loaded(module, monkeypatch):
    spec = importlib.util.spec_from_file_location(module.stem, module)
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.stem, loaded)
    spec.loader.exec_module(loaded)
    return loaded
