"""The fine-tunings and runs of the study: what is planned, and making the missing ones."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hindsight.files.records import write_json
from hindsight.pipeline import ROOT, SamplingRun, convert_and_check, in_lanes, sample_runs
from hindsight.problem_sets.selection import select_problems
from studies.smollm2.grid import Grid, Strength, at_temperature, best
from studies.smollm2.measure import measure_run
from studies.smollm2.plan import (
    StudyOptions,
    StudyRun,
    early_setting,
    finetuned_setting,
    merge_setting,
    start_setting,
    switching_setting,
)
from studies.smollm2.results import Setting
from studies.smollm2.summary import TRIES
from studies.smollm2.training import Training

# MBPP's own asserts are one program, with ten times TIMEOUT; its reference programs take milliseconds. The limits of
# MBPP+ come from its canonical solutions.
CHECK_FLAGS = {"validation": ("--timeout", "0.3"), "test": ()}

FIRST_TEMPERATURE = 0.7  # the paper's, at which strengths are compared before temperatures are tried
RUNS_OF_A_SERVER = 4  # a server starts in half a minute, a run takes minutes


@dataclass
class Work:
    """The study in progress. problems: how many each part has; strengths, chosen: what has been chosen so far."""

    options: StudyOptions
    grid: Grid
    problems: dict[str, int]
    llamafactory: str
    entropy_every: int
    start_deadline: float
    strengths: dict[str, Strength] = field(default_factory=dict)
    chosen: dict[str, Setting] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    epoch_times: list[float] = field(default_factory=list)  # seconds
    answer_times: list[float] = field(default_factory=list)  # seconds, of each run

    # What to make.

    def trainings_to_choose(self, kind: str) -> list[Training]:
        """One fine-tuning per rate, with the first seed; none if FINETUNED gives the models."""
        if self.grid.finetuned:
            return []
        strengths = self.grid.strengths(kind)
        longest = max(each.epochs for each in strengths)
        rates = dict.fromkeys(each.rate for each in strengths)
        return [self._training(kind, rate, longest, self.grid.seeds[0]) for rate in rates]

    def chosen_trainings(self, kind: str, seed: int) -> list[Training]:
        """The fine-tuning for a seed, at the chosen rate and number of epochs."""
        found = self.strength(kind)
        return [] if self.grid.finetuned else [self._training(kind, found.rate, found.epochs, seed)]

    def strength(self, kind: str) -> Strength:
        """The chosen strength; until one is chosen, the strongest."""
        return self.strengths.get(kind) or self.grid.strengths(kind)[-1]

    def _training(self, kind: str, rate: float, epochs: float, seed: int) -> Training:
        return Training(kind, rate, epochs, seed, self.options.output / "models")

    def _finetuned(self, kind: str, seed: int, epochs: float = 0) -> Path:
        """The fine-tuned model of a seed, or its checkpoint after so many epochs."""
        if self.grid.finetuned:
            return Path(self.grid.finetuned[seed])
        (training,) = self.chosen_trainings(kind, seed)
        return training.checkpoint(epochs or training.epochs)

    def strength_runs(self, kind: str) -> list[StudyRun]:
        """The validation runs of the checkpoints to choose from; none if there is only one."""
        strengths, by_rate = self.grid.strengths(kind), {each.rate: each for each in self.trainings_to_choose(kind)}
        if len(strengths) < 2 or not by_rate:
            return []
        settings = {each: early_setting(kind, each.rate, each.epochs, FIRST_TEMPERATURE) for each in strengths}
        seed = self.grid.seeds[0]
        return [
            self._run("validation", setting, seed, by_rate[each.rate].checkpoint(each.epochs))
            for each, setting in settings.items()
        ]

    def temperatures(self, kind: str) -> dict[str, list[Setting]]:
        """The settings from which a parent's temperature is chosen, by its name: the kind of training.

        The start model's, start_chat and start_shots, are chosen with the first training.
        """
        grid, found = self.grid, {}
        if kind == grid.kinds[0]:
            prompts = ("chat", "shots") if grid.shots else ("chat",)
            found = {f"start_{each}": [start_setting(each, t) for t in grid.start_temperatures] for each in prompts}
        return {**found, kind: [finetuned_setting(kind, each) for each in grid.finetuned_temperatures]}

    def validation_runs(self, kind: str) -> list[StudyRun]:
        """The runs from which temperatures and alphas are chosen; where there is only one option, none."""
        runs, seed = [], self.grid.seeds[0]
        for name, settings in self.temperatures(kind).items():
            alphas = self.grid.validation_alphas if name == self.grid.kinds[0] else ()
            merges = [merge_setting(name, alpha, self.options.temperature) for alpha in alphas]
            settings = [*settings * (len(settings) > 1), *merges]
            runs += [self._run_of(name, "validation", each, seed) for each in settings]
        return runs

    def parents(self, kind: str) -> dict[str, Setting]:
        """The parents of a training at their chosen temperatures; until these are chosen, at that of the merges."""
        tried, asked = self.temperatures(kind), self.options.temperature
        return {name: self.chosen.get(name) or at_temperature(settings, asked) for name, settings in tried.items()}

    def test_runs(self, kind: str, seed: int) -> list[StudyRun]:
        """The test runs of a fine-tuned model; with the first one, the start model, switching and early checkpoints."""
        grid, runs, parents, asked = self.grid, [], self.parents(kind), self.options.temperature
        is_first = seed == grid.seeds[0]
        has_controls = is_first and kind == grid.kinds[0]
        if has_controls:
            starts = [setting for name, setting in parents.items() if name != kind]
            runs = [
                self._run_of("start", "test", each, seed)
                for each in dict.fromkeys([start_setting("chat", asked), *starts])
            ]
        settings = [finetuned_setting(kind, asked), parents[kind]]
        settings += [merge_setting(kind, each, asked) for each in grid.alphas(kind, is_first)]
        runs += [self._run_of(kind, "test", each, seed) for each in dict.fromkeys(settings)]
        if not has_controls:
            return runs
        if grid.turns:
            runs.append(self._run_of(kind, "test", switching_setting(kind, grid.turns, asked), seed))
        strength = self.strength(kind)
        early = [each for each in grid.early if each < strength.epochs and not grid.finetuned]
        return runs + [
            self._run("test", early_setting(kind, strength.rate, each, asked), seed, self._finetuned(kind, seed, each))
            for each in early
        ]

    def _run_of(self, name: str, split: str, setting: Setting, seed: int) -> StudyRun:
        """The run of a parent or a merge.

        A base model has no chat template, so the start model of a given pair is asked in chat as the pair's alpha 0.
        """
        if name in self.grid.kinds:
            return self._run(split, setting, seed, self._finetuned(name, seed))
        pair = bool(self.grid.finetuned) and setting.prompt == "chat"
        return self._run(split, setting, None, Path(self.grid.finetuned[0]) if pair else None)

    def _run(self, split: str, setting: Setting, seed: int | None, checkpoint: Path | None) -> StudyRun:
        return StudyRun(split, setting, seed, checkpoint, self.options, self.problems[split])

    def all_trainings(self) -> list[Training]:
        """All fine-tunings, given what has been chosen so far."""
        found = [each for kind in self.grid.kinds for each in self.trainings_to_choose(kind)]
        for seed in self.grid.seeds[1:]:
            found += [each for kind in self.grid.kinds for each in self.chosen_trainings(kind, seed)]
        return found

    def all_runs(self) -> list[StudyRun]:
        """All runs, given what has been chosen so far."""
        kinds = self.grid.kinds
        found = [run for kind in kinds for run in [*self.strength_runs(kind), *self.validation_runs(kind)]]
        return found + [run for kind in kinds for seed in self.grid.seeds for run in self.test_runs(kind, seed)]

    def describe(self) -> list[str]:
        """One line for each planned fine-tuning and run."""
        trainings = [f"fine-tuning: {each.name}" for each in self.all_trainings()]
        answers = sum(run.problem_count for run in self.all_runs()) * self.options.samples
        runs = [f"{run.title}: {run.problem_count * self.options.samples} answers" for run in self.all_runs()]
        return [*trainings, *runs, f"{len(trainings)} fine-tunings, {len(runs)} runs, {answers:,} answers"]

    # Choosing.

    def choose_strength(self, kind: str) -> None:
        """Chooses the strength with the highest pass@1 on validation, since accuracy is what fine-tuning is for."""
        runs = self.strength_runs(kind)
        if runs:
            by_setting = dict(zip([run.setting for run in runs], self.grid.strengths(kind), strict=True))
            self.strengths[kind] = by_setting[best([(run.setting, run.counts()) for run in runs], 1)]
            print(f"chosen on validation: {kind}, {self.strengths[kind]}", flush=True)

    def choose_temperatures(self, kind: str) -> None:
        """Chooses each parent's temperature by pass@10 on validation, or by pass@SAMPLES if there are fewer samples."""
        runs = {run.setting: run for run in self.validation_runs(kind)}
        tried = {name: settings for name, settings in self.temperatures(kind).items() if len(settings) > 1}
        starts = [setting for name, settings in tried.items() if name != kind for setting in settings]
        for name, settings in {**tried, **({"start": starts} if starts else {})}.items():
            found = [(each, runs[each].counts()) for each in settings]
            self.chosen[name] = best(found, min(TRIES, self.options.samples))
            print(f"chosen on validation: {self.chosen[name].label}", flush=True)

    # Making it.

    def train(self, trainings: Sequence[Training]) -> None:
        """Runs the missing fine-tunings one after the other, each on all cores."""
        for training in trainings:
            if not training.is_finished():
                options, begun = self.options, time.monotonic()
                log = options.output / "models" / f"{training.folder.name}.log"
                print(f"fine-tuning: {training.name}", flush=True)
                training.make(options.start, options.output / "data", self.llamafactory, log)
                self.epoch_times.append((time.monotonic() - begun) / training.epochs)
                print(f"fine-tuned: {training.name}; {self.left()}", flush=True)

    def make(self, runs: Sequence[StudyRun]) -> Iterator[StudyRun]:
        """Makes the missing runs, grouped by server, LANES servers at a time; yields every run once it is measured."""
        missing = [run for run in runs if not run.is_measured()]
        yield from (run for run in runs if run.is_measured())
        groups = group_runs(missing, self.options.lanes)
        for made in in_lanes(self._make_group, groups, self.options.lanes):
            yield from made

    def _make_group(self, group: list[StudyRun]) -> list[StudyRun]:
        by_folder = {run.folder: run for run in group}

        def finish(sampled: SamplingRun, _: int, seconds: float) -> None:
            run = by_folder[sampled.folder]
            convert_and_check(run.folder, run.log, check_flags=CHECK_FLAGS[run.split])
            every = self.entropy_every * (run.split == "test")
            questions = select_problems(str(self.options.problems(run.split))).question_ids
            counts = measure_run(ROOT / run.folder, questions, run.model, every)
            write_json(ROOT / run.measured, {"made_by": run.made_by, "counts": counts})
            if seconds:
                self.answer_times.append(seconds / sampled.answers)
            print(f"{run.title}: {sampled.answers} answers in {seconds:.0f} s; {self.left()}", flush=True)

        sample_runs(group[0].served_models(), [run.sampling_run() for run in group], self.start_deadline, finish)
        return group

    def left(self) -> str:
        """The remaining work, with an estimate of its time as soon as some work has been timed."""
        trainings = [each for each in self.all_trainings() if not each.is_finished()]
        runs = [each for each in self.all_runs() if not each.is_measured()]
        seconds = sum(each.epochs for each in trainings) * _mean(self.epoch_times)
        answers = sum(run.problem_count for run in runs) * self.options.samples
        seconds += answers * _mean(self.answer_times) / self.options.lanes
        known = bool(self.answer_times) and (bool(self.epoch_times) or not trainings)
        estimate = f", about {seconds / 60:.0f} minutes" if known else ""
        spent = (time.monotonic() - self.begun) / 60
        return f"{len(trainings)} fine-tunings and {len(runs)} runs left{estimate} ({spent:.0f} minutes so far)"


def group_runs(runs: Sequence[StudyRun], lanes: int) -> list[list[StudyRun]]:
    """The runs grouped by server, in groups of similar size, small enough to occupy every lane.

    Switching, which takes three times as long as another run, comes first, so that no lane waits for it at the end.
    """
    by_server: dict[tuple, list[StudyRun]] = {}
    for run in runs:
        by_server.setdefault(run.served, []).append(run)
    most, groups = min(RUNS_OF_A_SERVER, math.ceil(len(runs) / lanes)), []
    for each in by_server.values():
        parts = math.ceil(len(each) / most)
        groups += [each[part::parts] for part in range(parts)]
    return sorted(groups, key=lambda group: group[0].setting.kind != "switching")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
