"""Scene graphs: nodes, edges, boxes, names, and how two graphs are matched."""
