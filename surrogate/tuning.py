"""`tune`: which network, and which recipe, for a dataset and a budget of time.

Every trial has the schedule of one budget, and the clock decides how far it comes: after 1/27, 1/9
and 1/3 of it, it goes on only if it is among the best third of those that came as far (asynchronous
successive halving). What goes on has lost nothing, because it was never stopped; what was killed
continues from its checkpoint. The moving average of the weights is what is compared, since rates
have not fallen yet where most trials end.

References:
    L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020,
    arXiv:1810.05934.
    T. Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from tqdm.auto import tqdm

from simulations.datasets import Dataset, DatasetError, open_dataset
from simulations.datasets.publish import publish_text
from simulations.simulation import Simulation, check_setting
from surrogate import losses, networks
from surrogate.comparison import wording
from surrogate.comparison.equal_error import lower_left_front
from surrogate.comparison.timing import Stopwatch, one_thread
from surrogate.emulator import Surrogate, load
from surrogate.encoding import Encoding
from surrogate.loop import Stop
from surrogate.networks.network import Signature
from surrogate.propagation import Propagator, Rollout, change_deviations
from surrogate.recipe import OPTIMIZERS, Recipe
from surrogate.training import evaluate, stored_inputs, trained

if TYPE_CHECKING:
    import optuna

#: A trial is looked at whenever another of these shares of its budget is spent
TICKS = 27
REDUCTION = 3
#: Budgets of a trial in that of the search
WHOLE_TRIALS = 6
#: Decay of the moving average of the weights, in all trials
AVERAGE = 0.99
#: So many trials that fail, one after another, are no accident
MOST_FAILURES = 5

#: What is searched for of a recipe, and between which bounds
SEARCHED = ("learning_rate", "batch_size", "weight_decay", "optimizer", "loss")
RANGES = {"learning_rate": (2e-4, 2e-2), "weight_decay": (1e-7, 1e-2)}

MODES, WIDTHS, LAYERS = (8, 12, 16, 24, 32), (16, 32, 48, 64), (3, 4, 5)

#: Of each network the settings that are tried; for the rest there are defaults
SPACES: dict[str, dict[str, tuple[Any, ...]]] = {
    "FNO": {"modes": MODES, "width": WIDTHS, "layers": LAYERS},
    "FactorizedFNO": {"modes": MODES, "width": WIDTHS, "layers": LAYERS},
    "TuckerFNO": {"modes": MODES, "width": WIDTHS, "rank": (0.25, 0.5)},
    "UNet": {"width": (16, 32, 48), "levels": (2, 3, 4), "blocks": (1, 2)},
    "DilatedResNet": {"width": WIDTHS, "layers": (2, 3, 4)},
    "Transolver": {"width": (32, 64, 96), "layers": LAYERS, "slices": (16, 32, 64)},
    "DeepONet": {"basis": (32, 64, 128), "width": (64, 128, 256), "layers": (2, 3, 4)},
    "PODNet": {"modes": (24, 48, 96), "width": (64, 128, 256), "layers": (2, 3, 4)},
    "Koopman": {"observables": (32, 64, 128), "modes": (24, 48, 96), "width": (64, 128, 256)},
    "MLP": {"width": (64, 128, 256, 512), "layers": (2, 3, 4)},
    "GraphNet": {"width": (32, 64, 96), "rounds": (2, 3, 4), "neighbours": (8, 16, 32)},
    "GaussianProcess": {"modes": (12, 24, 48)},
    "PODPolynomial": {"modes": (32, 64, 128), "max_terms": (200, 400, 800)},
    "PODLinear": {"modes": (32, 64, 128)},
}


@dataclass(frozen=True)
class Trial:
    """One network with one recipe.

    Attributes:
        number: in the order in which they began.
        network: its name.
        settings: of the network.
        recipe: what was tried; the rest is what the network recommends.
        state: ``"complete"`` had its whole budget, or all of the search's that was left;
            ``"stopped"`` fell behind the others; ``"failed"`` could not be trained.
        error: relative L2 error on the validation split, mean over fields.
        seconds: what building, training and timing it have cost.
        call_seconds: processor time of a call on one thread.
        weights: how many it has.
        reason: why it failed.
    """

    number: int
    network: str
    settings: Mapping[str, Any]
    recipe: Mapping[str, Any]
    state: Literal["complete", "stopped", "failed"]
    error: float = math.inf
    seconds: float = 0.0
    call_seconds: float = math.inf
    weights: int = 0
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search has found.

    Attributes:
        best: the surrogate with the smallest validation error.
        trials: all of them.
        folder: with a surrogate for each trial that did not fail, in ``trials/NUMBER``.
    """

    best: Surrogate
    trials: tuple[Trial, ...]
    folder: Path

    @property
    def winner(self) -> Trial:
        return min(self._finished, key=lambda trial: trial.error)

    @property
    def frontier(self) -> tuple[Trial, ...]:
        """The trials that no other one beats in both error and time of a call, best first."""
        finished = self._finished
        front = lower_left_front([t.error for t in finished], [t.call_seconds for t in finished])
        return tuple(finished[position] for position in front)

    @property
    def _finished(self) -> list[Trial]:
        return [trial for trial in self.trials if math.isfinite(trial.error)]

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of a table of the frontier: a header, and a row for each."""
        header = ("trial", "network", "settings", "recipe", "error", "per call", "training")
        described = [
            (
                str(trial.number),
                trial.network,
                _in_a_line(trial.settings),
                _in_a_line(trial.recipe),
                wording.percent(trial.error),
                wording.duration(trial.call_seconds),
                wording.duration(trial.seconds),
            )
            for trial in self.frontier
        ]
        return [header, *described]

    def to_json(self) -> dict[str, Any]:
        trials = [asdict(trial) for trial in self.trials]
        for trial in trials:
            for key in ("error", "call_seconds"):
                trial[key] = trial[key] if math.isfinite(trial[key]) else None
        return {
            "winner": self.winner.number,
            "frontier": [trial.number for trial in self.frontier],
            "seconds": sum(trial.seconds for trial in self.trials),
            "trials": trials,
        }


def tune(
    dataset: Dataset | str | Path,
    output: str | Path,
    *,
    minutes: float = 30.0,
    candidates: Sequence[str] | None = None,
    problem: Propagator | None = None,
    seed: int = 0,
    device: str = "cpu",
    memory_gigabytes: float | None = None,
    progress: bool = True,
    **recipe: Any,
) -> Tuning:
    """Search for the network and the recipe with the smallest validation error.

    The first trial is what `surrogate.train` would do. The same call continues a search that was
    interrupted, and one with more minutes a search that was finished. The test split is looked at
    once, by the winner.

    Args:
        dataset: as for `surrogate.train`.
        output: folder for the best surrogate, all others, and the records of the search.
        minutes: of all trials together.
        candidates: names of the networks to try; by default all that serve the problem.
        problem: as for `surrogate.train`.
        seed: of the choices and of all trainings.
        device: torch device.
        memory_gigabytes: as for `surrogate.train`.
        progress: show a progress bar on stderr.
        **recipe: fields of `surrogate.recipe.Recipe` that are not searched for but given.

    Raises:
        DatasetError: the train or the validation split is empty or incomplete.
        ValueError: an argument is out of range, or ``output`` holds another search.
        ModuleNotFoundError: Optuna is not installed.
        RuntimeError: no trial could be trained.
    """
    check_setting("minutes", minutes, 1e-3, 1e6)
    check_setting("seed", seed, 0, integer=True)
    Recipe.check_names(recipe)
    if taken := sorted(recipe.keys() & {"minutes", "epochs", "seed"}):
        raise ValueError(f"{taken[0]}: belongs to the search, not to the recipe of a trial")
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset)
    encoding = Encoding.of_dataset(dataset)
    signature = encoding.signature
    if problem is not None:
        signature = Rollout(nn.Identity(), encoding, problem, change_deviations(dataset)).signature
    search = _Search(
        dataset,
        Path(output),
        minutes,
        _candidates(candidates, signature, dataset.simulation),
        problem,
        signature,
        seed,
        {"device": device, "memory_gigabytes": memory_gigabytes},
        recipe,
    )
    search.run(progress)
    return search.concluded()


def serving(signature: Signature, simulation: Simulation) -> list[str]:
    """Names of the networks that serve a problem, of those that are tried."""
    individuals = any(axis.interpolation == "none" for axis in simulation.grid.axes)
    dense = {"MLP", "Koopman", "PODNet", "PODLinear", "GaussianProcess", "Transolver"}
    names = []
    for name in SPACES:
        # Between individuals there are no waves, and elsewhere there is more than they
        if name not in dense | {"GraphNet"} if individuals else name == "GraphNet":
            continue
        try:
            with torch.device("meta"):
                networks.by_name(name)().build(signature)
        except ValueError:
            continue
        names.append(name)
    return names


def _candidates(
    given: Sequence[str] | None, signature: Signature, simulation: Simulation
) -> list[str]:
    if given is None:
        return serving(signature, simulation)
    for name in given:
        networks.by_name(name)
    if not given:
        raise ValueError("candidates=[]: name at least one network")
    return list(dict.fromkeys(given))


@dataclass
class _Search:
    """The state of a search, all of which is in its folder."""

    dataset: Dataset
    folder: Path
    minutes: float
    names: list[str]
    problem: Propagator | None
    signature: Signature
    seed: int
    options: dict[str, Any]
    given: dict[str, Any]

    def __post_init__(self) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        self.optuna = optuna
        (self.folder / "trials").mkdir(parents=True, exist_ok=True)
        identity = {
            "dataset": self.dataset.manifest,
            "candidates": self.names,
            "problem": asdict(self.problem) if self.problem else None,
            "seed": self.seed,
            "recipe": self.given,
        }
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        backend = JournalFileBackend(str(self.folder / "search.jsonl"))
        self.study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="search",
            load_if_exists=True,
            pruner=optuna.pruners.SuccessiveHalvingPruner(1, REDUCTION),
        )
        optuna.logging.set_verbosity(verbosity)
        # A search that continues shall not repeat the choices that it began with
        self.study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(self.study.trials))
        known = self.study.user_attrs.get("identity")
        described = json.dumps(identity, sort_keys=True)
        if known is None:
            self.study.set_user_attr("identity", described)
            self.study.set_user_attr("trial_minutes", self.minutes / WHOLE_TRIALS)
            self._enqueue_defaults()
        elif known != described:
            raise ValueError(
                f"{self.folder}: holds another search; remove it or name another folder"
            )

    @property
    def trial_minutes(self) -> float:
        """Budget of a trial. It is part of a schedule, so that it never changes."""
        return float(self.study.user_attrs["trial_minutes"])

    @property
    def spent(self) -> float:
        return sum(t.user_attrs.get("seconds", 0.0) for t in self.study.get_trials(deepcopy=False))

    def _enqueue_defaults(self) -> None:
        """What would be trained without a search comes first."""
        grid = self.dataset.simulation.grid
        default = networks.default_network(self.signature, grid)
        name = type(default).__name__
        if name in self.names:
            recommended = {**asdict(Recipe()), **getattr(default, "recipe", {}), **self.given}
            choices: dict[str, Any] = {"network": name}
            for setting, values in SPACES[name].items():
                if default.config[setting] in values:
                    choices[f"{name}.{setting}"] = default.config[setting]
            for key in SEARCHED:
                choices[key] = recommended[key]
            if recommended["batch_size"] not in self._batch_sizes:
                choices["batch_size"] = self._batch_sizes[-1]
            self.study.enqueue_trial(choices)

    def run(self, progress: bool) -> None:
        """Trials until the budget is spent; the last one has what is left."""
        states = self.optuna.trial.TrialState
        budget = 60 * self.minutes
        failures = 0
        with tqdm(total=budget, unit="s", desc="tune", disable=not progress) as bar:
            bar.update(min(self.spent, budget))
            while (left := budget - self.spent) > 60 * self.trial_minutes / TICKS:
                unfinished = self.study.get_trials(deepcopy=False, states=(states.RUNNING,))
                trial = (
                    self.optuna.trial.Trial(self.study, unfinished[0]._trial_id)
                    if unfinished
                    else self.study.ask()
                )
                before = self.spent
                failures = 0 if self._tried(trial, left) else failures + 1
                if failures == MOST_FAILURES:
                    last = self.trials()[-1]
                    raise RuntimeError(f"{failures} trials failed, the last one: {last.reason}")
                finished = [t.error for t in self.trials() if math.isfinite(t.error)]
                if finished:
                    bar.set_postfix(trials=len(self.trials()), best=f"{min(finished):.2e}")
                bar.update(min(self.spent - before, budget - bar.n))

    def _tried(self, trial: "optuna.Trial", left: float) -> bool:
        """Train one; whether that was possible."""
        states = self.optuna.trial.TrialState
        watch = _Watch(trial, 60 * self.trial_minutes, left)
        folder = self.folder / "trials" / f"{trial.number:04d}"
        checkpoint = folder.with_suffix(".checkpoint")
        try:
            name, settings, recipe = self._choices(trial)
            network = networks.by_name(name)(**settings)
            recommended = {**getattr(network, "recipe", {}), **recipe}
            emulator = trained(
                self.dataset,
                network,
                problem=self.problem,
                checkpoint=checkpoint,
                progress=False,
                loggers=[watch],
                **self.options,
                **{**recommended, "minutes": self.trial_minutes, "epochs": 10**7},
                seed=self.seed,
            )
            error = emulator.training["valid_error"]
            if not math.isfinite(error):
                raise RuntimeError(f"validation error {error}")
            trial.set_user_attr("error", error)
            trial.set_user_attr("call_seconds", self._call_seconds(emulator))
            trial.set_user_attr("weights", sum(p.numel() for p in emulator.network.parameters()))
            emulator.save(folder)
        except DatasetError:
            raise
        except (ValueError, RuntimeError, MemoryError) as failure:
            trial.set_user_attr("reason", str(failure) or type(failure).__name__)
            trial.set_user_attr("seconds", watch.spent)
            self.study.tell(trial, state=states.FAIL)
            checkpoint.unlink(missing_ok=True)
            return False
        trial.set_user_attr("seconds", watch.spent)
        if watch.is_behind:
            self.study.tell(trial, state=states.PRUNED)
        else:
            self.study.tell(trial, error)
        checkpoint.unlink(missing_ok=True)
        return True

    def _choices(self, trial: "optuna.Trial") -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The network, its settings and the recipe of a trial, the same whenever it is asked."""
        name = trial.suggest_categorical("network", self.names)
        settings = {
            setting: trial.suggest_categorical(f"{name}.{setting}", values)
            for setting, values in SPACES.get(name, {}).items()
        }
        choices: dict[str, Sequence[Any]] = {
            "batch_size": self._batch_sizes,
            "optimizer": OPTIMIZERS,
            "loss": _losses_on(self.dataset.simulation.grid),
        }
        recipe: dict[str, Any] = {
            key: trial.suggest_categorical(key, choices[key])
            if key in choices
            else trial.suggest_float(key, *RANGES[key], log=True)
            for key in SEARCHED
            if key not in self.given
        }
        return name, settings, {"average": AVERAGE, **recipe, **self.given}

    @property
    def _batch_sizes(self) -> list[int]:
        largest = max(1, self.dataset.count("train"))
        return [size for size in (4, 8, 16, 32, 64) if size <= largest] or [largest]

    def _call_seconds(self, emulator: Surrogate) -> float:
        """Processor time of one answer on one thread."""
        samples = self.dataset.read(self.dataset.parts("valid")[0], slice(0, 1))
        inputs = stored_inputs(self.dataset.simulation, samples)
        with one_thread():
            emulator.predict(**inputs)
            return Stopwatch().time(lambda: emulator.predict(**inputs)).seconds

    def trials(self) -> tuple[Trial, ...]:
        """Those that are over."""
        names = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
        described = []
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name not in names or "network" not in trial.params:
                continue
            network = trial.params["network"]
            settings = {
                key.removeprefix(f"{network}."): value
                for key, value in trial.params.items()
                if key.startswith(f"{network}.")
            }
            recipe = {k: v for k, v in trial.params.items() if k != "network" and "." not in k}
            known = ("error", "seconds", "call_seconds", "weights", "reason")
            measured = {key: trial.user_attrs[key] for key in known if key in trial.user_attrs}
            state: Any = names[trial.state.name]
            described.append(Trial(trial.number, network, settings, recipe, state, **measured))
        return tuple(described)

    def concluded(self) -> Tuning:
        """The winner meets the test split, and everything is written down."""
        trials = self.trials()
        finished = [trial for trial in trials if math.isfinite(trial.error)]
        if not finished:
            reasons = [trial.reason for trial in trials] or ["none was finished in time"]
            raise RuntimeError(f"{self.folder}: no trial could be trained ({reasons[-1]})")
        winner = min(finished, key=lambda trial: trial.error)
        best = load(self.folder / "trials" / f"{winner.number:04d}")
        total = sum(trial.seconds for trial in trials)
        best.training["tuning_seconds"] = max(0.0, total - best.training["seconds"])
        if self.dataset.count("test"):
            best.training["test_relative_l2"] = evaluate(best, self.dataset, "test")
        best.save(self.folder)
        tuning = Tuning(best, trials, self.folder)
        publish_text(self.folder / "tuning.json", json.dumps(tuning.to_json(), indent=2) + "\n")
        return tuning


class _Watch:
    """The logger that ends a trial which is behind the others, or out of time."""

    def __init__(self, trial: "optuna.Trial", budget: float, left: float) -> None:
        self.trial, self.budget, self.left = trial, budget, left
        self.before, self.started = trial.user_attrs.get("seconds", 0.0), time.perf_counter()
        reported = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self.best = min(reported.values(), default=math.inf)
        self.tick = max(reported, default=0)
        self.is_behind = False

    @property
    def spent(self) -> float:
        """Seconds of this trial, in whichever processes."""
        return self.before + time.perf_counter() - self.started

    def log(self, values: dict[str, float], step: int) -> None:
        self.best = min(self.best, values["valid"])
        tick = min(TICKS, int(TICKS * values["seconds"] / self.budget))
        if tick > self.tick:
            self.tick = tick
            self.trial.set_user_attr("seconds", self.spent)
            self.trial.report(self.best, tick)
            self.is_behind = self.trial.should_prune()
        if self.is_behind or self.spent - self.before > self.left:
            raise Stop


def _losses_on(grid: Any) -> list[str]:
    """Of the losses that see all errors, those that a grid can have."""
    possible = []
    for name in losses.NAMES:
        try:
            losses.combined({name: 1.0}, grid)
        except ValueError:
            continue
        possible.append(name)
    return [name for name in possible if name not in losses.COMPANIONS]


def _in_a_line(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {float(f'{value:.2g}'):g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )
