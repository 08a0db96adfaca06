"""Pictures of a scene graph: boxes, arrows and labels on its image, and the graph beside it."""
