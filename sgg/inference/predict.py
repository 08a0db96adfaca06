"""One image in, its scene graph out: as JSON in original pixels, and drawn."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from sgg.config.schema import Config
from sgg.data.clean import MAX_ASPECT
from sgg.data.one_image import open_image_file
from sgg.distributed import Ranks
from sgg.drawing.layout import layout
from sgg.drawing.picture_file import write_picture
from sgg.errors import SggError
from sgg.files import make_output_folder, write_json
from sgg.inference.generate import Sampling
from sgg.inference.hf import HfEngine
from sgg.models.open import Use, open_model
from sgg.models.spec import graph_spec, prompter
from sgg.models.unreadable import explained_as_damaged
from sgg.scene.graph import to_dict
from sgg.text.codec import Parsed, parse


def predict_file(config: Config, image: Path, out: Path) -> tuple[list[Path], Parsed]:
    """Write OUT/NAME.graph.json and OUT/NAME.graph.png, overwriting nothing.

    Returns:
        Their paths, and what was read from the completion.

    Raises:
        SggError: the image or the weights are missing or broken.

    """
    upright = open_image_file(image)
    width, height = upright.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise SggError(
            f"{image}: {width} × {height} pixels; Qwen-VL takes sides of at most {MAX_ASPECT} : 1."
        )
    completion = _complete(config, upright)
    parsed = parse(completion.text, graph_spec(config), width, height)
    content = {
        "image": str(image),
        "width": width,
        "height": height,
        **to_dict(parsed.graph),
        "problems": [[p.kind.value, p.item] for p in parsed.problems],
        "text": completion.text,
    }
    make_output_folder(out)
    json_path = _reserved(out, image)
    png_path = json_path.with_suffix(".png")
    write_json(json_path, content)
    write_picture(png_path, upright, layout(parsed.graph, upright.size))
    return [json_path, png_path], parsed


def _reserved(out: Path, image: Path) -> Path:
    """OUT/NAME.graph.json, empty; where that is taken NAME.SUFFIX.graph.json, then with a number.

    Names that differ only in case are one to some file systems, so they count as taken here.
    """
    taken = {path.name.lower() for path in out.iterdir()}
    further = (f"{image.name}.{number}" for number in count(2))
    for name in chain((image.stem, image.name), further):
        path = out / f"{name}.graph.json"
        if not {path.name.lower(), path.with_suffix(".png").name.lower()} & taken:
            with suppress(FileExistsError):  # made meanwhile by another
                path.open("x").close()
                return path
    raise AssertionError("numbers do not end")


def _complete(config: Config, upright: Any) -> Any:
    model, ranks = open_model(config, Use.generate), Ranks.start(config.hardware)
    generate = config.generate
    sampling = Sampling(
        generate.max_new_tokens, generate.temperature, generate.top_p, generate.top_k
    )
    loaded = model.load()
    width, height = upright.size
    chat = prompter(config).messages(width, height, {})
    with explained_as_damaged(model.folder):  # its settings may fit its weights and make no sense
        engine = HfEngine(loaded.to(ranks.device), model.processor, sampling)
        return engine.complete([chat], [upright], config.seed)[0][0]
