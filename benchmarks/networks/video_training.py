"""What an epoch over movies costs beside a bare PyTorch loop, how long it waits for clips, and the peak of memory.

    python benchmarks/networks/video_training.py                     # clips of the simulated retina's size; two minutes
    python benchmarks/networks/video_training.py --size sensorium    # 60 clips of 300 frames and 4,000 neurons

Three ways through the recipe `simulated_retina` in turns: the bare loop (windows cut beforehand, forward, mean Poisson
loss, backward, fused Adam, nothing else), clips in memory, and clips in folders on disk, which are kept once they were
read. The first epoch of each is in no ratio. Seconds are the processor's; the share of waiting is of the clock: how
long the loop stood still until its next batch was there.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from training import bare_epoch, timed
from video import peak_gib

from decortex.data import Recordings, Session, open_filetree, write_filetree
from decortex.data.video import InMemoryClips
from decortex.models import Network, simulated_retina_spec
from decortex.models.readouts import ReadoutConfig
from decortex.models.training import TrainingConfig
from decortex.models.training.loop import _Run


@dataclass(frozen=True)
class Size:
    """Of recordings of noise."""

    n_clips: int
    n_frames: int
    shape: tuple[int, int]
    n_neurons: int
    window: int | None


SIZES = {
    "retina": Size(n_clips=60, n_frames=50, shape=(36, 36), n_neurons=240, window=None),
    "sensorium": Size(n_clips=60, n_frames=300, shape=(36, 64), n_neurons=4000, window=80),
}


def recordings(size: Size) -> Recordings:
    """One session of noise."""
    rng = np.random.default_rng(0)
    n_trials = size.n_clips + 4
    clips = tuple(
        rng.normal(size=(1, size.n_frames, *size.shape)).astype(np.float32) for _ in range(n_trials)
    )
    counts = tuple(
        rng.poisson(1.0, size=(size.n_frames, size.n_neurons)).astype(np.float32) for _ in range(n_trials)
    )
    neurons = pd.DataFrame({"session": "a", "unit_id": np.arange(size.n_neurons)})
    session = Session(
        name="a",
        images=InMemoryClips(clips),
        responses=InMemoryClips(counts),
        tiers=np.array(["train"] * size.n_clips + ["validation"] * 2 + ["test"] * 2),
        image_ids=np.arange(n_trials),
        neurons=neurons.assign(animal="m", scan=1, area="V1"),
        n_frames=np.full(n_trials, size.n_frames, dtype=np.int64),
    )
    return Recordings([session], (1, *size.shape), "0" * 64, frame_rate=30.0)


class Waiting:
    """Epochs of a run, and how long each stood still until a batch was there."""

    def __init__(self, run: _Run) -> None:
        self.run, self.seconds, self.waited = run, [], []  # type: ignore[var-annotated]
        self._stream = run.training.stream
        run.training.stream = self.stream  # type: ignore[method-assign, assignment]

    def stream(self, order: list[np.ndarray]) -> Iterator[Any]:
        """Yield the batches of an epoch, the clock stopped while the loop computes."""
        batches = self._stream(order)
        waited = 0.0
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - began
            if batch is None:
                break
            yield batch
        self.waited.append(waited)

    def epoch(self) -> None:
        """Train for one epoch, always the same one."""
        began = time.perf_counter()
        self.run.train_epoch(1)
        self.seconds.append(time.perf_counter() - began)

    def shares(self) -> str:
        """Share of each epoch that was waiting, in words."""
        shares = [waited / seconds for waited, seconds in zip(self.waited, self.seconds, strict=True)]
        return f"waiting for clips: {shares[0]:.3f} of the first epoch, {np.median(shares[1:]):.3f} of a later one"


def main() -> None:
    """Print seconds per epoch, ratios to the bare loop, shares of waiting and the peak of memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="retina")
    parser.add_argument("--disk-only", action="store_true", help="without the ratios, for the peak of memory")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    size = SIZES[asked.size]
    config, _ = simulated_retina_spec()
    config = config.model_copy(update={"readout": ReadoutConfig(kind="point", start="centre")})
    how = TrainingConfig(batch_size=4, schedule="constant", learning_rate=1e-3, window=size.window)
    with tempfile.TemporaryDirectory() as folder:
        data = recordings(size)
        write_filetree(data, Path(folder) / "noise")
        opened = open_filetree(Path(folder) / "noise", frame_rate=30.0)
        if asked.disk_only:
            del data
        network = Network.build(config, opened, seed=0)
        sources = {"from disk": opened} if asked.disk_only else {"in memory": data, "from disk": opened}
        epochs: dict[str, Callable[[], object]] = {}
        waiting: dict[str, Waiting] = {}
        for name, source in sources.items():
            run = _Run(copy.deepcopy(network), source, how, seed=0, term=None, device=torch.device("cpu"))
            if name == "in memory":
                epochs["bare loop"] = bare_epoch(copy.deepcopy(network), run)
            waiting[name] = Waiting(run)
            epochs[name] = waiting[name].epoch
        seconds = timed(epochs)
    n_steps = -(-size.n_clips // how.batch_size)
    for name, values in seconds.items():
        ratios = np.array(values) / np.array(seconds.get("bare loop", values))
        sys.stdout.write(f"{name:10} {np.median(values):7.3f} s per epoch of {n_steps} steps")
        if "bare loop" in seconds:
            sys.stdout.write(
                f", {np.median(ratios):.3f} times the bare loop ({ratios.min():.3f} to {ratios.max():.3f})"
            )
        sys.stdout.write(f"; {waiting[name].shares()}\n" if name in waiting else "\n")
    sys.stdout.write(f"peak of memory {peak_gib():.2f} GiB\n")


if __name__ == "__main__":
    main()
