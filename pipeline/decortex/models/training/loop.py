"""Training and fine-tuning of a network: the one epoch loop and what it returns. No architecture here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decortex.data import Recordings
from decortex.errors import InputError
from decortex.models.network import Network
from decortex.models.predict import resolve_device
from decortex.models.training.auxiliary import AuxiliaryTerm
from decortex.models.training.batches import Batch, shift_images
from decortex.models.training.config import TrainingConfig
from decortex.models.training.feature_cache import MapMemory
from decortex.models.training.freed_memory import freed_memory_kept
from decortex.models.training.handover import Handover, check_span, copied
from decortex.models.training.history import EpochRecord, RunLog, TrainingOutcome
from decortex.models.training.inputs import RunInputs, check_run
from decortex.models.training.resume import RunState
from decortex.models.training.steps import (
    Snapshot,
    WeightAverage,
    build_optimiser,
    build_schedule,
    mean_correlation,
    only_trained,
    own_randomness,
    penalty,
    prediction_loss,
)

__all__ = ["AuxiliaryTerm", "EpochRecord", "TrainingConfig", "TrainingOutcome", "fit_network"]

Watch = Callable[[Network], NDArray[np.float64]]

_SHIFT_STREAM = 1  # shifts have a random stream of their own: the batch order does not depend on them


def fit_network(
    network: Network,
    recordings: Recordings,
    config: TrainingConfig,
    *,
    seed: int,
    term: AuxiliaryTerm | None = None,
    progress: Callable[[EpochRecord], None] | None = None,
    watch: Watch | None = None,
    state: RunState | None = None,
    maps: MapMemory | None = None,
    until: int | None = None,
    after: Handover | None = None,
    device: str = "auto",
) -> TrainingOutcome:
    """Train a network, or train it on with a term on its embedding.

    Batches and shifts depend on (seed, epoch) alone: a run without the term sees the same images in the same
    order. On a CPU the same seed gives the same weights, bit for bit, at an equal number of threads, whether or not
    the run was interrupted on its way: no generator of random numbers outlives an epoch.

    Parameters
    ----------
    network : Network
        Trained in place; it ends in the kept state, on the device and in the mode it came in.
    recordings : Recordings
        The recordings it was built for; training and validation trials are read.
    config : TrainingConfig
        How.
    seed : int
        Seed of batch order and shifts, not negative.
    term : AuxiliaryTerm, optional
        Added to the prediction loss; a ``torch.nn.Module``.
    progress : callable, optional
        Gets each epoch's record.
    watch : callable, optional
        Gets the network after each recorded epoch, in the state that would be kept (averaged weights), and
        returns an array for the outcome.
    state : RunState, optional
        Keeps everything that the run needs to go on, at the end of every epoch. Where it holds a state, the run
        takes it up there; ``network`` and ``term`` must come as they came to the interrupted run.
    maps : MapMemory, optional
        Where maps are computed once because the core stays as it is, they are taken from there, and left there.
    until : int, optional
        Stop after this epoch of the whole schedule, keep its state whatever ``config.keep`` says, and hand the run over
        (``outcome.handover``).
    after : Handover, optional
        Go on where another run of this network stopped: weights, optimiser, rates and average are its. Batches and
        shifts are those of the epochs to come, ``config.max_epochs`` counts the whole training, records count from
        here. The epoch that is kept is one of these; epoch 0 is the network as it came.
    device : str
        'auto' (a GPU where there is one), 'cpu', 'cuda', ...

    Returns
    -------
    TrainingOutcome
        Kept state and record of every epoch. Numbers that stop being finite end training with the reason
        'diverged' and the last (or best) finite state.

    Raises
    ------
    InputError
        If the recordings are not those of the network.
    ConfigError
        If a term is given and the readout, hence the embedding, is not trained; if ``until`` lies outside the epochs,
        or ``after`` is of a run with another optimiser or schedule.
    DatasetError
        If a session has no training or validation trials.
    """
    check_run(network, recordings, config, with_term=term is not None)
    check_span(config, until, after)
    home, was_training, target = network.pixel_mean.device, network.training, resolve_device(device)
    modules: list[nn.Module] = [network] if term is None else [network, _as_module(term)]
    for module in modules:
        module.to(target)
    try:
        with freed_memory_kept(), only_trained(network, config.trains):
            run = _Run(
                network,
                recordings,
                config,
                seed=seed,
                term=term,
                maps=maps,
                until=until,
                after=after,
                device=target,
            )
            return run.fit(progress, watch, state)
    finally:
        for module in modules:
            module.to(home)
        network.train(was_training)


class _Run:
    """One run: what the epoch loop works with."""

    def __init__(
        self,
        network: Network,
        recordings: Recordings,
        config: TrainingConfig,
        *,
        seed: int,
        term: AuxiliaryTerm | None,
        maps: MapMemory | None = None,
        until: int | None = None,
        after: Handover | None = None,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.seed, self.term, self.device = network, config, seed, term, device
        self.until, self.after, self.past = until, after, 0 if after is None else after.epoch
        self.term_module = None if term is None else _as_module(term)
        self.modules = [network] if self.term_module is None else [network, self.term_module]
        self.prediction_weight = 1.0 if term is None else term.prediction_weight
        self.shows_images = self.prediction_weight > 0
        read = RunInputs(
            network, recordings, config, shows_images=self.shows_images, memory=maps, device=device
        )
        self.training, self.validation = read.training, read.validation
        self.trains_on_maps, self.validates_on_maps = read.trains_on_maps, read.validates_on_maps
        self.optimiser = build_optimiser(network, self.term_module, config)
        self.trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.schedule = build_schedule(
            self.optimiser, config, n_steps=self.training.n_batches * config.max_epochs
        )
        self.average = WeightAverage(self.modules, config.weight_average)

    def fit(
        self,
        progress: Callable[[EpochRecord], None] | None,
        watch: Watch | None,
        state: RunState | None,
    ) -> TrainingOutcome:
        """Run the epochs that are left; leave the modules in the kept state."""
        log = self.begin(state)
        while log.reason is None:
            record = self.one_epoch(log, watch)
            if record is not None and state is not None:
                state.save(self.memory(log))
            if record is not None and progress is not None:
                progress(record)
        handover = self.handed_over(log) if log.reason == "handed_over" else None
        log.kept.restore()
        return TrainingOutcome(
            state_dict=copied(self.network.state_dict()),
            term_state_dict=None if self.term_module is None else copied(self.term_module.state_dict()),
            best_epoch=log.kept.epoch,
            stop_reason=log.reason,
            epochs=log.records,
            watched=log.watched,
            handover=handover,
        )

    def one_epoch(self, log: RunLog, watch: Watch | None) -> EpochRecord | None:
        """Train one epoch and enter it in the log; None, and nothing entered, where numbers broke off."""
        epoch, began = len(log.records) + 1, time.perf_counter()
        with own_randomness(self.seed, self.past + epoch, self.device):
            train_loss, penalty, term_values = self.train_epoch(epoch)
        with self.average.applied():
            now = Snapshot(self.modules, epoch)
            loss, correlation = self.validate()
            if self.term is not None and now.is_finite():
                term_values |= self.term.end_epoch(self.network.embedding().detach())
            if not (now.is_finite() and _finite(train_loss, loss, term_values.get("loss"))):
                log.reason = "diverged"
                return None
            if watch is not None:
                log.watched.append(watch(self.network))
        seconds = time.perf_counter() - began
        log.records.append(EpochRecord(epoch, train_loss, loss, correlation, term_values, seconds, penalty))
        if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.schedule.step(correlation)
        if correlation > log.best:
            log.best, log.best_epoch = correlation, epoch
        if self.config.keep == "last" or self.until is not None or log.best_epoch == epoch:
            log.kept = now
        log.reason = self.reason_to_stop(log)
        return log.records[-1]

    def reason_to_stop(self, log: RunLog) -> str | None:
        """Return the term's wish, then patience, then the number of epochs."""
        epoch = len(log.records)
        wish = self.term.stop() if self.term is not None else None
        if wish is not None:
            return wish
        if self.config.patience is not None and epoch - log.best_epoch >= self.config.patience:
            return "patience"
        if self.until == self.past + epoch:
            return "handed_over"
        return "max_epochs" if self.past + epoch >= self.config.max_epochs else None

    def handed_over(self, log: RunLog) -> Handover:
        """Copy the run for another to go on with."""
        epoch = self.past + len(log.records)
        return Handover.of(
            self.network, self.optimiser, self.schedule, epoch=epoch, config=self.config, average=self.average
        )

    def begin(self, state: RunState | None) -> RunLog:
        """Log of a new run, or the one of a saved state, into which everything else is put back."""
        saved = None if state is None else state.load()
        if saved is None:
            if self.after is not None:
                self.after.restore(self.network, self.optimiser, self.schedule, self.average)
            with self.average.applied():
                return RunLog(kept=Snapshot(self.modules, epoch=0))
        for module, values in zip(self.modules, saved["modules"], strict=True):
            module.load_state_dict(values)
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        self.average.recall(saved["average"])
        if self.term is not None:
            self.term.recall(saved["term"])
        return RunLog(
            kept=Snapshot.of(self.modules, saved["kept_epoch"], saved["kept"]),
            best=saved["best"],
            best_epoch=saved["best_epoch"],
            records=[EpochRecord(**record) for record in saved["records"]],
            watched=[watched.numpy() for watched in saved["watched"]],
            reason=saved["reason"],
        )

    def memory(self, log: RunLog) -> dict[str, Any]:
        """Everything that `begin` puts back, as tensors and plain values."""
        return {
            "modules": [module.state_dict() for module in self.modules],
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.memory(),
            "term": None if self.term is None else self.term.memory(),
            "kept_epoch": log.kept.epoch,
            "kept": log.kept.states,
            "best": log.best,
            "best_epoch": log.best_epoch,
            "records": [asdict(record) for record in log.records],
            "watched": [torch.from_numpy(watched) for watched in log.watched],
            "reason": log.reason,
        }

    def train_epoch(self, epoch: int) -> tuple[float | None, float | None, dict[str, float]]:
        """One pass over the training trials; returns mean losses, not finite where training broke off."""
        whole = self.past + epoch  # of the whole training
        shifts = np.random.default_rng([self.seed, whole, _SHIFT_STREAM])
        prediction_losses: list[float] = []
        penalties: list[float] = []
        term_losses: list[float] = []
        norms: dict[str, float] = {}
        if self.term is not None and self.term.start_epoch(self.network.embedding().detach(), epoch):
            self.average.begin_anew(self.term_module)
        self.network.train()
        if self.config.trains == "readout":
            self.network.core.eval()
        order = self.training.order(self.seed, whole)
        batches = self.training.stream(order) if self.shows_images else (None for _ in order)
        for step, batch in enumerate(batches):
            self.optimiser.zero_grad(set_to_none=True)
            objective = torch.zeros((), device=self.device)
            if self.term is not None:
                term_loss = self.term.loss(self.network.embedding())
                term_losses.append(term_loss.item())
                objective = objective + term_loss
                if step == 0:
                    norms["gradient_norm_term"] = self.gradient_norm(term_loss)
            if batch is not None:
                loss = self.prediction_loss(batch, shifts)
                prediction_losses.append(loss.item())
                held = penalty(self.network, self.config)
                penalties.append(held.item())
                objective = objective + self.prediction_weight * (loss + held)
                if self.term is not None and step == 0:
                    norms["gradient_norm_prediction"] = self.gradient_norm(self.prediction_weight * loss)
            if not math.isfinite(objective.item()):
                return math.nan, None, {}
            torch.autograd.backward(objective)
            self.step()
        loss_of_term = {"loss": float(np.mean(term_losses))} if term_losses else {}
        return _mean(prediction_losses), _mean(penalties), norms | loss_of_term

    def step(self) -> None:
        """Move the weights along the gradient, then let the average and the term follow."""
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.trained, self.config.gradient_clip)
        self.optimiser.step()
        if self.config.schedule != "plateau":
            self.schedule.step()
        self.average.update()
        if self.term is not None:
            self.term.after_step(self.network.embedding().detach())

    def prediction_loss(self, batch: Batch, shifts: np.random.Generator) -> Tensor:
        """Loss of one mixed batch."""
        batch = batch.to(self.device)
        with self.mixed_precision():
            if self.trains_on_maps:
                maps = batch.inputs
            else:
                maps = self.network.maps(shift_images(batch.inputs, self.config.shift, shifts))
            predicted = self.network.forward_maps(maps, batch.parts)
        return self.loss_of([part.float() for part in predicted], batch)

    def mixed_precision(self) -> torch.autocast:
        """Products in bfloat16 inside the block, on a GPU where the configuration asks for it."""
        asked = self.config.precision == "bfloat16" and self.device.type == "cuda"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=asked)

    def loss_of(self, predictions: list[Tensor], batch: Batch) -> Tensor:
        """Mean loss of predictions for a batch."""
        scales = [self.network.response_scale[self.network.slices[session]] for session, _ in batch.parts]
        return prediction_loss(predictions, batch.responses, scales, loss=self.config.loss)

    def gradient_norm(self, loss: Tensor) -> float:
        """Norm of a loss's gradient on the embedding; Adam hides how small a term's is."""
        features = [self.network.readout(name).features for name in self.network.session_names]
        gradients = torch.autograd.grad(loss, features, retain_graph=True, allow_unused=True)
        return math.sqrt(sum(one.square().sum().item() for one in gradients if one is not None))

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Mean loss and mean correlation over the validation trials."""
        self.network.eval()
        predictions: dict[str, list[Tensor]] = {name: [] for name in self.network.session_names}
        total, n_pairs = 0.0, 0
        for one in self.validation.in_order():
            batch = one.to(self.device)
            maps = batch.inputs if self.validates_on_maps else self.network.maps(batch.inputs)
            predicted = self.network.forward_maps(maps, batch.parts)
            weight = sum(responses.numel() for responses in batch.responses)
            total += weight * self.loss_of(predicted, batch).item()
            n_pairs += weight
            for (session, _), part in zip(batch.parts, predicted, strict=True):
                predictions[session].append(part.cpu())
        joined = [torch.cat(predictions[name]) for name in self.network.session_names]
        return total / n_pairs, mean_correlation(joined, self.validation.responses)


def _as_module(term: AuxiliaryTerm) -> nn.Module:
    if not isinstance(term, nn.Module):
        raise InputError(
            f"the auxiliary term is a {type(term).__name__}, it must be a torch.nn.Module: what it keeps is"
            " saved and restored with the network."
        )
    return term


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _finite(*values: float | None) -> bool:
    return all(value is None or math.isfinite(value) for value in values)
