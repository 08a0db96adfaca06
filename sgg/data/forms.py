"""What the annotation files of each source hold, for messages."""

from __future__ import annotations

from sgg.config.data import Source

FORMS = {
    Source.jsonl: '{"image", "objects": [{"id", "bbox"}], "relationships": [{"subject", "predicate", '
    '"object"}]} on each line',
    Source.coco: '{"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "category_id", '
    '"bbox"}], "categories": [{"id", "name"}]} with "rel_annotations"',
    Source.gqa: '{IMAGE_ID: {"width", "height", "objects": {ID: {"name", "x", "y", "w", "h", '
    '"relations": [{"name", "object"}]}}}}',
    Source.psg: '"data": [{"image_id", "file_name", "width", "height", "annotations": [{"bbox", '
    '"category_id"}], "relations": [[subject, object, predicate]]}], "thing_classes", '
    '"stuff_classes" and "predicate_classes"',
    Source.vg: '[{"image_id", "size": [width, height], "objects": [[class, box]], '
    '"relations": [[subject, object, predicate]]}], or VG-SGG\'s h5 with image_data.json',
    Source.vrd: '{FILE: [{"subject": {"category", "bbox"}, "predicate", "object": {"category", "bbox"}}]}',
}
"""Keys of the files; sources that are read by other libraries are left out."""
