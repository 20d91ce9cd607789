"""Small results of the study on SmolLM2, for its tests."""

import json

from studies.smollm2.results import Results, make_results

PROBLEMS = {"validation": [511, 512], "test": [14, 11, 12, 13]}


def run(name, kind="merge", correct=(0, 1, 2, 4), **more):
    """A run's JSON: four answers per problem, all with a program, unless `more` says otherwise."""
    count = len(correct)
    setting = {"split": "test", "name": name, "kind": kind, "training": "" if kind == "start" else "full"}
    setting |= {"seed": None if kind == "start" else 0, "alpha": {"start": 0, "finetuned": 1}.get(kind)}
    setting |= {"prompt": "chat", "temperature": 0.4, "epochs": None, "turns": None}
    counts = {"samples": [4] * count, "correct": list(correct), "base_correct": list(correct), "programs": [4] * count}
    counts |= {"distinct": [2] * count, "vendi": [1.5] * count, "ended": [4] * count, "tokens": [240] * count}
    counts |= {"nats": [3.0] * count, "entropy_tokens": [12] * count}
    given = {key: list(more.pop(key)) for key in list(counts) if key in more}
    return {**setting, **more, "counts": {**counts, **given}}


def content(*runs, **more):
    """The JSON of a results file."""
    return {"about": {"samples": 4}, "chosen": {}, "problems": PROBLEMS, "runs": list(runs), **more}


def results(*runs, **more) -> Results:
    """The results as read from a file."""
    return make_results(json.loads(json.dumps(content(*runs, **more))))


def whole(**more) -> Results:
    """Both parents, merges of two trainings and two seeds, an early checkpoint and switching; choices on validation."""
    runs = [run("start_chat_T0.7", "start"), run("start_shots_T0.5", "start", prompt="shots", temperature=0.5)]
    for number, training in enumerate(("full", "lora")):
        for seed in (0, 1):
            trained = {"training": training, "seed": seed}
            runs.append(run(f"{training}_T0.7", "finetuned", (0, 1 + seed, 2, 4), **trained))
            runs.append(run(f"{training}_T1", "finetuned", (1, 1, 1, 3), temperature=1.0, **trained))
            runs.append(run(f"{training}_early_1", "early", (0, 2, 2, 4), epochs=1, **trained))
            runs.append(run(f"{training}_switching", "switching", (0, 0, 2, 4), turns=["10", "10"], **trained))
            runs.append(run(f"{training}_0.3", alpha=0.3, correct=(1 - seed, 2, 2 + number, 4), **trained))
            runs.append(run(f"{training}_0.6", alpha=0.6, correct=(0, 2, 3, 4), **trained))
    for alpha, correct in ((0.3, (2, 1)), (0.6, (1, 1))):
        runs.append(run(f"full_{alpha}", alpha=alpha, correct=correct, split="validation"))
    chosen = {"settings": {"start": "start_shots_T0.5", "full": "full_T1"}}
    return results(*runs, **{"chosen": chosen, **more})
