"""TensorBoard: event files in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sgg.files import refuse_link


class TensorboardTracker:
    """Event files in RUN_DIR/tensorboard."""

    def __init__(self, run_dir: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run_dir / "tensorboard"
        refuse_link(folder)
        earlier = list(folder.glob("events.out.tfevents.*"))
        for file in earlier:  # their steps are handed over again
            file.unlink()
        # a TensorBoard that has read them is told to forget them, too
        self._writer = SummaryWriter(str(folder), purge_step=0 if earlier else None)
        self._step = 0
        self._written: set[str] = set()

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        if step != self._step:
            self._step, self._written = step, set()
        # the end of a training says some of the last step again
        for name in values.keys() - self._written:
            self._writer.add_scalar(name, values[name], step)
        self._written |= values.keys()

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Images by row; texts beside them as Markdown."""
        import numpy as np

        for index, row in enumerate(rows):
            for column, value in zip(columns, row, strict=True):
                tag = f"{name}/{index}/{column}"
                if hasattr(value, "getpixel"):
                    pixels = np.asarray(value.convert("RGB"))
                    self._writer.add_image(tag, pixels, self._step, dataformats="HWC")
                else:
                    self._writer.add_text(tag, f"    {value}", self._step)

    def model(self, folder: Path) -> None:
        """Nothing: TensorBoard has no place for it."""

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        self._writer.close()

    def abandon(self) -> None:
        """See `Tracker.abandon`."""
        self._writer.close()
