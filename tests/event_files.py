"""What TensorBoard's event files hold, by TensorBoard's own reader."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def events(run_dir):
    """The reader, with every step of every number."""
    reader = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"scalars": 0})
    reader.Reload()
    return reader


def scalars(run_dir):
    """By name, the (step, value) pairs in the order of the files."""
    reader = events(run_dir)
    return {
        name: [(s.step, s.value) for s in reader.Scalars(name)] for name in reader.Tags()["scalars"]
    }
