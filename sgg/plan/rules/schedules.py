"""What a schedule of the learning rate takes by `stage.args.lr_scheduler_kwargs`, read without an import.

transformers builds the schedule after the model is loaded; its functions' signatures say before what fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sgg.errors import did_you_mean
from sgg.plan.rules.trl_fields import fits, parameters

KEY = "stage.args.lr_scheduler_kwargs"
FUNCTIONS = {
    "linear": "get_linear_schedule_with_warmup",
    "cosine": "get_cosine_schedule_with_warmup",
    "cosine_with_restarts": "get_cosine_with_hard_restarts_schedule_with_warmup",
    "polynomial": "get_polynomial_decay_schedule_with_warmup",
    "constant": "get_constant_schedule",
    "constant_with_warmup": "get_constant_schedule_with_warmup",
    "inverse_sqrt": "get_inverse_sqrt_schedule",
    "cosine_with_min_lr": "get_cosine_with_min_lr_schedule_with_warmup",
    "cosine_warmup_with_min_lr": "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "warmup_stable_decay": "get_wsd_schedule",
}
"""transformers' function for each schedule."""

_GIVEN = ("optimizer", "num_warmup_steps", "num_training_steps", "last_epoch")
"""What the trainer gives by itself."""
_FORMS = ("linear", "cosine", "1-sqrt")
_ONE_OF = ("min_lr", "min_lr_rate")


def problems_of_schedule(args: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the options of the schedule that `stage.args` name."""
    name = args.get("lr_scheduler_type") or "linear"
    options = args.get("lr_scheduler_kwargs") or {}
    if name not in FUNCTIONS or not isinstance(options, Mapping):
        return  # which is said of the field itself
    known = parameters("transformers", "optimization.py", FUNCTIONS[name])
    taken = {key: value for key, value in known.items() if key not in _GIVEN}
    schedule = f"stage.args.lr_scheduler_type={name}"
    for option, value in options.items():
        key = f"{KEY}.{option}"
        if option not in taken:
            allowed = f"takes {', '.join(taken)}" if taken else "takes no options"
            yield f"{key}: {schedule} {allowed}.{did_you_mean(str(option), taken)}"
        elif not fits(value, taken[option].annotation or "float"):
            yield f"{key}={value!r}: must be {taken[option].annotation or 'float'}."
        elif option in ("warmup_type", "decay_type") and value not in _FORMS:
            yield f"{key}={value}: allowed are {', '.join(_FORMS)}.{did_you_mean(str(value), _FORMS)}"
    for option, parameter in taken.items():
        if parameter.is_needed and option not in options:
            yield f"{schedule} needs {option}. Write {KEY}.{option}=VALUE."
    if set(_ONE_OF) <= taken.keys():
        given = [option for option in _ONE_OF if options.get(option) is not None]
        if len(given) != 1:
            yield f"{schedule} needs one of min_lr and min_lr_rate. Write {KEY}.min_lr_rate=0.1."
    end, start = options.get("lr_end", 1e-7), args.get("learning_rate")
    are_numbers = all(isinstance(value, (int, float)) for value in (end, start))
    if name == "polynomial" and are_numbers and end >= start:
        yield f"{KEY}.lr_end={end}: must be below stage.args.learning_rate={start}."
