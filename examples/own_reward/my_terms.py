"""A reward term of one's own: a function of one `case`."""


def few_objects(case, *, most=4):
    """1 for a graph of at most `most` objects, less for each one more; 0 for a failed completion.

    `case` holds what a term may look at: `case.text` (the completion), `case.pred` and `case.gold` (graphs,
    with `nodes` and `edges`), `case.parsed.failure` and `case.parsed.problems` (what is wrong with the text),
    and `case.match` (which predicted node is assigned to which gold node; `case.match.iou` for all pairs).
    """
    if case.parsed.failure is not None:
        return 0.0
    return 1.0 / max(1, len(case.pred.nodes) - most + 1)
