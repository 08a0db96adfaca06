"""What a kind of data set is to the rest of the package: one record, made where its reader is.

Input: a split as the config names it. Output: its reader, and the facts by which keys of
`data` are checked, images are found and errors are worded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgg.config.data import DataConfig, ImageSource, SplitConfig
from sgg.data.sources.base import Reader, existing_folder
from sgg.errors import SggError


@dataclass(frozen=True)
class Split:
    """One split of a data set as a config names it."""

    data: DataConfig
    name: str
    """`train` or `eval`."""

    @property
    def config(self) -> SplitConfig:
        """What the config says of this split only."""
        return self.data.train if self.name == "train" else self.data.eval

    @property
    def key(self) -> str:
        """The key of its path, for messages."""
        return f"data.{self.name}.path"

    def root(self) -> Path:
        """The folder `data.root`.

        Raises:
            SggError: it is not given or not there.

        """
        return existing_folder(self.data.root, "data.root")

    def images(self) -> Path | None:
        """The folder of the image files, without symbolic links; None where gold is painted.

        Raises:
            SggError: it is not there.

        """
        if self.data.image_source is ImageSource.painted:
            return None
        folder = self.data.image_folder
        found = existing_folder(folder, "data.image_folder") if folder else self.root()
        return found.resolve()

    def folders(self) -> tuple[Path, ...]:
        """Where a stranger's rows may name image files: the config's own folders, without symbolic links."""
        named = [self.data.root, self.data.image_folder]
        if self.config.path and not self.data.root:
            path = Path(self.config.path).expanduser()
            if path.exists():
                named.append(str(path if path.is_dir() else path.parent))
            else:  # a hub id, whose files lie in the hub's own caches
                from datasets.config import HF_DATASETS_CACHE
                from huggingface_hub.constants import HF_HUB_CACHE

                named += [str(HF_DATASETS_CACHE), HF_HUB_CACHE]
        return tuple(Path(folder).expanduser().resolve() for folder in named if folder)

    def file(self) -> Path:
        """The annotation file that the split's path names below `data.root`; it may not be there.

        Raises:
            SggError: no path is given.

        """
        if self.config.path is None:
            raise SggError(f"{self.key} must be given: the annotation file below data.root.")
        return self.root() / self.config.path


def _images_folder(split: Split) -> object:
    return split.images()


def _no_problems(data: DataConfig) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class DataSource:
    """A kind of data set."""

    open: Callable[[Split], Reader]
    """Looks for the files of a split; raises SggError where they are missing or of another form."""
    form: str = ""
    """Keys of its annotation files, for messages; empty where another library reads them."""
    is_drawn: bool = False
    """Whether its images are drawn when they are needed, and nobody annotated them."""
    table: Callable[[Split], Any] | None = None
    """Opens the table whose rows hold images or name them; its path may be a hub id."""
    place: Callable[[Split], object] = _images_folder
    """What a prepared table's references to image files depend on, besides the annotations."""
    reads_path: bool = True
    """Whether `data.train.path` and `data.eval.path` are read."""
    reads_name: bool = True
    """Whether `data.train.name` and `data.eval.name` are read."""
    reads_box_format: bool = False
    """Whether `data.box_format` says what its boxes mean; else its reader gives corners in pixels."""
    has_prompts: bool = False
    """Whether its rows may hold the prompts that R1-SGG published."""
    problems: Callable[[DataConfig], Iterable[str]] = _no_problems
    """What is wrong with the config of such a data set, whatever lies on the disk."""

    def reads_images(self, data: DataConfig) -> bool:
        """Whether the images are somebody's files or rows, and not drawn by us."""
        return not self.is_drawn and data.image_source is ImageSource.files
