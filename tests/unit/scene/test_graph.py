"""The graph type: what it refuses, and its two ways out and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import scene, small_graphs

from sgg.scene.graph import Edge, SceneGraph, from_dict, name_of_id, node_id, to_dict

PAIR_EDGES = [(0, "walks", 1), (1, "on", 1)]
PAIR = scene([("man", (0, 0, 10, 20)), ("dog", (5.5, 1, 8, 9))], PAIR_EDGES)


@pytest.mark.parametrize("edge", [(2, "on", 0), (0, "on", 2), (-1, "on", 0), (0, "on", -1)])
def test_an_edge_past_the_nodes_is_refused(edge):
    with pytest.raises(ValueError, match="outside the graph's 2 nodes"):
        SceneGraph(PAIR.nodes, (Edge(*edge),))


def test_graphs_are_values():
    """Equal content is the same graph, and nothing can be changed behind a holder's back."""
    again = scene([("man", (0, 0, 10, 20)), ("dog", (5.5, 1, 8, 9))], PAIR_EDGES)
    assert (again == PAIR, hash(again) == hash(PAIR)) == (True, True)
    for value, name in [(PAIR, "nodes"), (PAIR.nodes[0], "box"), (PAIR.edges[0], "object")]:
        with pytest.raises(AttributeError):
            setattr(value, name, ())


def test_boxes_are_an_n_by_4_array_even_without_nodes():
    assert PAIR.boxes_xyxy.tolist() == [[0, 0, 10, 20], [5.5, 1, 8, 9]]
    assert SceneGraph().boxes_xyxy.shape == (0, 4)


def test_triplet_reads_names_in_the_direction_of_the_edge():
    assert [PAIR.triplet(e) for e in PAIR.edges] == [("man", "walks", "dog"), ("dog", "on", "dog")]


def test_with_boxes_changes_boxes_alone():
    doubled = PAIR.with_boxes(PAIR.boxes_xyxy * 2)
    assert doubled == scene([("man", (0, 0, 20, 40)), ("dog", (11, 2, 16, 18))], PAIR_EDGES)
    assert all(type(v) is float for n in doubled.nodes for v in n.box)


@pytest.mark.parametrize("rows", [1, 3])
def test_with_boxes_refuses_another_count(rows):
    with pytest.raises(ValueError, match="zip"):
        PAIR.with_boxes(np.zeros((rows, 4)))


@given(small_graphs(), st.randoms(use_true_random=False))
def test_reorder_moves_nodes_and_keeps_what_edges_say(graph, random):
    order = list(range(len(graph.nodes)))
    random.shuffle(order)
    moved = graph.reorder(order)
    assert moved.nodes == tuple(graph.nodes[i] for i in order)
    said = [(graph.nodes[e.subject], e.predicate, graph.nodes[e.object]) for e in graph.edges]
    still = [(moved.nodes[e.subject], e.predicate, moved.nodes[e.object]) for e in moved.edges]
    assert still == said
    assert moved.reorder([order.index(i) for i in range(len(order))]) == graph


@pytest.mark.parametrize("order", [[0], [0, 0], [1, 2], [0, 1, 2]])
def test_reorder_refuses_what_is_no_permutation(order):
    with pytest.raises(ValueError, match="no permutation of 2 nodes"):
        PAIR.reorder(order)


def test_node_id_counts_from_one():
    assert [node_id(PAIR, i) for i in (0, 1)] == ["man.1", "dog.2"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("person.2", "person"),
        ("person", "person"),
        ("traffic light.10", "traffic light"),
        ("a.2.3", "a.2"),
        ("no.5b", "no.5b"),
        ("json board.1", "json board"),
    ],
)
def test_name_of_id_cuts_the_last_number_alone(written, name):
    assert name_of_id(written) == name


def test_to_dict_is_the_documented_form_with_whole_numbers_as_integers():
    assert json.dumps(to_dict(PAIR)) == (
        '{"objects": [{"id": "man.1", "bbox": [0, 0, 10, 20]}, '
        '{"id": "dog.2", "bbox": [5.5, 1, 8, 9]}], '
        '"relationships": [{"subject": "man.1", "predicate": "walks", "object": "dog.2"}, '
        '{"subject": "dog.2", "predicate": "on", "object": "dog.2"}]}'
    )


@given(small_graphs())
def test_from_dict_inverts_to_dict_through_json(graph):
    assert from_dict(json.loads(json.dumps(to_dict(graph)))) == graph


def test_from_dict_refuses_an_unknown_end():
    content = to_dict(PAIR)
    content["relationships"][1]["subject"] = "cat.9"
    with pytest.raises(KeyError, match=r"cat\.9"):
        from_dict(content)
