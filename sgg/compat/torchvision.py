"""A workaround for a torchvision whose compiled library does not match torch.

PyPI's torchvision is built for CUDA. Beside a CPU build of torch its library does not load, torchvision
then describes operators that nobody declared, and importing it, and hence transformers' processors, fails
with “operator torchvision::nms does not exist”. vLLM's CPU build brings that pair along. Here the two
operators are declared just before they are described; nobody here calls them, and transforms need no library.
Where the library loads, or torchvision is not installed, this does nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_DESCRIBES = "torchvision._meta_registrations"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[Any] = []
"""The declaration lasts as long as the library object."""


class _Declares:
    """Finds nothing; asked for the module that describes operators, it declares those that are missing.

    A finder of sys.meta_path by its method alone: importlib.abc would cost `sgg --help` a third of its time.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == _DESCRIBES and not _kept:
            import torch
            from torchvision import extension

            if not extension._has_ops():
                library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
                for schema in _SCHEMAS:
                    library.define(schema)  # type: ignore[no-untyped-call]
                _kept.append(library)


def were_missing() -> bool:
    """Whether torchvision has been imported and needed the workaround: processes without sgg fail to."""
    return bool(_kept)


_HOOK = _Declares()


def declare_when_described() -> None:
    """Be asked first for modules that are imported from now on. Imports nothing by itself; idempotent."""
    if _HOOK not in sys.meta_path:
        sys.meta_path.insert(0, _HOOK)
