"""The reference's terms that ask its word model, compared term by term through that model's vectors.

`spacy_vectors.npz` (made by make_spacy_vectors.py) holds what en_core_web_sm 3.8.0 says about the batch's
names, so every value is the reference's to 1e-5 wherever it is right; each kind that differs is listed
with its reason, and docs/rewards.md counts them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from test_rewards_reference import BOX_DIFFERS, EDGE_DIFFERS, ROWS, SPEC, gold_of

from sgg.config.reward import NameSimilarity, SimilarityKind
from sgg.reward.score import RewardSpec, score
from sgg.scene import embeddings as similarity_models
from sgg.text.codec import parse

WEIGHT = {"node_acc": 2, "node_box": 2, "edge_soft": 5, "edge_relax": 5}
NAMES = {
    "node_acc": "node_acc_reward",
    "node_box": "node_box_reward",
    "edge_soft": "edge_reward",
    "edge_relax": "edge_hard_relax_reward",
}
_IDS = "the reference cuts an id at its first dot, or deletes `json` from it"
NODE_ACC_DIFFERS = {**BOX_DIFFERS, "two_dots_id": _IDS, "word_json_in_label": _IDS}
WHOLE = {"good", "medium", "bad", "huge"}
"""Sound completions, in which only negative cosines and several predicates of a pair can differ."""


@pytest.fixture(scope="module")
def ours():
    """The terms of every row under the reference's word model, clamped at 0."""
    with np.load(Path(__file__).parent / "spacy_vectors.npz") as content:
        vectors = dict(zip(content["names"].tolist(), content["vectors"], strict=True))
    patch = pytest.MonkeyPatch()
    patch.setattr(similarity_models, "check", lambda how: None)
    patch.setattr(
        similarity_models, "_spacy_vectors", lambda names: np.stack([vectors[n] for n in names])
    )
    similarity_models._store.cache_clear()
    mix = RewardSpec(dict.fromkeys(WEIGHT, 1.0), similarity=NameSimilarity(SimilarityKind.spacy))
    yield [
        score(row["completion"], gold_of(row), *row["box_scale"], SPEC, mix).breakdown
        for row in ROWS
    ]
    patch.undo()
    similarity_models._store.cache_clear()


def differences(ours, term):
    """(row, ours − reference) of every row that differs."""
    pairs = [
        (row, got[term] - row["rewards_reference"][NAMES[term]] / WEIGHT[term])
        for row, got in zip(ROWS, ours, strict=True)
    ]
    return [(row, gap) for row, gap in pairs if abs(gap) > 1e-5]


@pytest.mark.parametrize(
    ("term", "kinds", "count"), [("node_box", BOX_DIFFERS, 29), ("node_acc", NODE_ACC_DIFFERS, 31)]
)
def test_node_terms_equal_the_reference(ours, term, kinds, count):
    found = differences(ours, term)
    assert {row["kind"] for row, _ in found} == set(kinds)
    assert len(found) == count


@pytest.mark.parametrize(("term", "count"), [("edge_soft", 52), ("edge_relax", 43)])
def test_edge_terms_equal_the_reference(ours, term, count):
    """Listed kinds aside, ours is larger: a negative cosine counts 0, every predicate of a pair counts."""
    found = differences(ours, term)
    assert len(found) == count
    listed = {*EDGE_DIFFERS, *NODE_ACC_DIFFERS, "ids_trailing_space"}
    for row, gap in found:
        if row["kind"] not in listed:
            assert row["kind"] in {*WHOLE, "two_predicates_same_pair"}
            assert gap > 0


def test_sound_completions_without_a_second_predicate_or_a_negative_cosine_are_exact(ours):
    exact = Counter()
    off = {
        row["index"] for term in ("edge_soft", "edge_relax") for row, _ in differences(ours, term)
    }
    for row in ROWS:
        if row["kind"] in WHOLE:
            pred = parse(row["completion"], SPEC, *row["box_scale"]).graph
            pairs = [(e.subject, e.object) for e in pred.edges]
            exact[row["index"] not in off, len(set(pairs)) == len(pairs)] += 1
    assert exact[True, True] >= 60
