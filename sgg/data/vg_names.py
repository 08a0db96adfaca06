"""Class and predicate names of VG-SGG's dicts, and the zero-shot list in these names."""

from __future__ import annotations

from pathlib import Path

from sgg.data.fields import reason, take
from sgg.data.sources.base import ROW_ERRORS, find_file, load_json, one_too_many
from sgg.errors import SggError
from sgg.scene.graph import Triplet
from sgg.scene.vocab import canonical

_DICTS = ["VG-SGG-dicts*.json"]
_ZERO_SHOT = "zeroshot_triplets*.json"


class VgNames:
    """Class and predicate names by 1-based id, as they are written, and the zero-shot list in names."""

    def __init__(self, root: Path) -> None:
        self.file = find_file(root, _DICTS, "data.root")
        listed = sorted(root.glob(_ZERO_SHOT))
        if len(listed) > 1:
            raise one_too_many(root, listed, "data.root")
        self.files = [self.file, *listed]
        dicts = load_json(self.file, "data.root")
        rows = load_json(listed[0], "data.root") if listed else []
        try:
            self.objects, self.predicates = (
                {int(i): n for i, n in take(dicts, key, "the file").items()}
                for key in ("idx_to_label", "idx_to_predicate")
            )
        except ROW_ERRORS as error:
            raise SggError(
                f"data.root: {self.file} has not the form of VG-SGG-dicts (idx_to_label and "
                f"idx_to_predicate, names by id): {reason(error)}."
            ) from error
        try:
            objects, predicates = (
                {number: canonical(str(name)) for number, name in names.items()}
                for names in (self.objects, self.predicates)
            )
            self.zero_shot: frozenset[Triplet] = frozenset(
                (objects[s], predicates[p], objects[o]) for s, o, p in rows
            )
        except ROW_ERRORS as error:
            raise SggError(
                f"data.root: {listed[0]} is no list of [subject, object, predicate] ids of "
                f"{self.file.name} ({type(error).__name__}: {error})."
            ) from error
