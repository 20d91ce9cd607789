"""Step 2: brings raw answers into the uniform format (see hindsight/formats.py).

Reads question_*_sample_*.json; writes converted_question_*_sample_*.json with `converted_text` and `conversion` (how).
An answer that has the structure already, in any dialect, is rewritten by rules, word for word. The others go to a
reformatting LLM over any OpenAI-compatible server; where none is configured, the last code block becomes the solution
and all before it the thought. What cannot be converted gets no file, is counted, and is tried again by the next run.

    python format_converter.py --input_dir runs/lab/instruct
    python format_converter.py --input_dir runs/taco/base --llm_model gpt-4o-mini        # with OPENAI_API_KEY set
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight import formats, records
from hindsight.client import ItemFailed, Server, require_model, usage
from hindsight.job_queue import Failures, run_all
from hindsight.preflight import ask_model
from hindsight.prompts import reformat_messages
from hindsight.runs import open_step
from hindsight.settings import Settings, require, run_script

INPUT_DIR = "runs/lab/instruct"  # the run folder with the raw answers
OUTPUT_DIR = ""                  # where the converted ones go; empty: beside the raw ones

LLM_MODEL = ""                   # the reformatting model; empty: rules only; the paper: gpt-4o-mini
LLM_URL = ""                     # its server; empty: OPENAI_BASE_URL, else the OpenAI API
LLM_TEMPERATURE = 0.7            # the paper: 0.7
LLM_MAX_TOKENS = 16384           # longest reformatted answer, in tokens; the paper: 16384

CONCURRENCY = 64                 # requests in flight
SERVER_DEADLINE = 600            # seconds a server may stay away during the run before it is given up
ALLOW_OTHER_SETTINGS = False     # go on in a folder that was converted with other settings

SAME = ("llm_model", "llm_temperature", "llm_max_tokens")


def convert_by_rules(text: str) -> tuple[str, dict[str, Any]] | None:
    """The converted text of an answer that has the structure already, and how; None for any other."""
    sections = formats.parse(text)
    if sections is None:
        return None
    return formats.render(sections.thought, sections.solution), {"how": "rules", "rule": "sections"}


def convert_by_last_block(text: str) -> tuple[str, dict[str, Any]]:
    """The rule for the rest where there is no LLM. Raises ItemFailed for an answer without a closed code block."""
    sections = formats.split_at_last_block(text)
    if sections is None:
        raise ItemFailed("it has neither the sections nor a code block, and there is no reformatting model")
    return formats.render(sections.thought, sections.solution), {"how": "rules", "rule": "last code block"}


async def convert_by_llm(text: str, server: Server, settings: Settings) -> tuple[str, dict[str, Any]]:
    """The LLM's rewriting. Raises ItemFailed when it was cut off, has no plain sections, or not the answer's code."""
    request = {
        "model": settings.llm_model,
        "temperature": settings.llm_temperature,
        "max_completion_tokens": settings.llm_max_tokens,
    }
    response, choice = await ask_model(server, reformat_messages(text), request)
    if choice["finish_reason"] != "stop":
        raise ItemFailed(f"the reformatting model ended with {choice['finish_reason']!r}")
    sections = formats.parse(choice["message"].get("content") or "")
    if sections is None:
        raise ItemFailed("the reformatting model did not write the sections")
    converted = formats.render(sections.thought, sections.solution)
    program = formats.extract_code(converted)
    if program is not None and program.strip() not in text:
        raise ItemFailed("the reformatting model changed the code")
    return converted, {"how": "llm", **request, "usage": usage(response)}


def convert_all(files: dict[tuple[int, int], Path], folder: Path, settings: Settings, report: list[str]) -> Failures:
    """Converts each file and writes it; what goes to the LLM is gathered first, by path, not by text."""
    failures, for_llm, broken = Failures(), [], []
    for path, record in tqdm(
        records.read_records(files, ("generated_text",), broken), total=len(files), unit="answer", desc="rules"
    ):
        converted = convert_by_rules(record["generated_text"])
        if converted is None and settings.llm_model:
            for_llm.append(path)
            continue
        try:
            write_converted(folder, record, *(converted or convert_by_last_block(record["generated_text"])))
        except ItemFailed as error:
            failures.add(path.name, str(error))
    for sentence in broken:
        failures.add(sentence, "a broken file")
    if for_llm:
        asyncio.run(send_to_llm(for_llm, folder, settings, failures))
        if failures.gone:
            report.append(f"the reformatting model's server stopped answering: {failures.gone}; run again to go on")
    return failures


async def send_to_llm(paths: list[Path], folder: Path, settings: Settings, failures: Failures) -> None:
    """Asks the reformatting model for each file, many at once, and writes what holds."""
    with tqdm(total=len(paths), unit="answer", desc="LLM") as bar:

        async def work(path: Path, server: Server) -> None:
            record = records.read_record(path)
            write_converted(folder, record, *await convert_by_llm(record["generated_text"], server, settings))

        def end(path: Path) -> None:
            bar.update()

        def name(path: Path) -> str:
            return path.name

        async with Server(llm_url(settings), settings.llm_model, settings.server_deadline) as server:
            await run_all(paths, work, name, [(server,)], settings.concurrency, failures, on_end=end, say=bar.write)


def llm_url(settings: Settings) -> str:
    """The reformatting model's server; empty is the OpenAI API."""
    return settings.llm_url or os.environ.get("OPENAI_BASE_URL", "")


def require_llm(settings: Settings) -> None:
    """Raises UserError when the reformatting model cannot be asked."""
    require(
        bool(llm_url(settings) or os.environ.get("OPENAI_API_KEY")),
        f"{settings.llm_model} needs OPENAI_API_KEY, or a server by --llm_url or OPENAI_BASE_URL",
    )
    asyncio.run(require_model(llm_url(settings), settings.llm_model))


def write_converted(folder: Path, record: dict[str, Any], text: str, conversion: dict[str, Any]) -> None:
    """Writes the converted answer: the raw one's keys and two more."""
    path = records.converted_path(folder, record["question_id"], record["sample_index"])
    records.write_json(path, {**record, "converted_text": text, "conversion": conversion})


def main(settings: Settings) -> int:
    folder = Path(settings.input_dir)
    output = Path(settings.output_dir) if settings.output_dir else folder
    files = records.require_files(folder, "sample")
    if settings.llm_model:
        require_llm(settings)
    run = open_step(output, Path(__file__).name, settings, SAME, source=folder)
    done = records.list_files(output, "converted")
    todo = {key: path for key, path in files.items() if key not in done}
    print(f"{folder}: {len(files)} answers, {len(files) - len(todo)} converted before")
    report: list[str] = []
    failures = convert_all(todo, output, settings, report)
    converted = len(records.list_files(output, "converted")) - len(done)
    missing = len(todo) - converted
    run.close(converted=converted, missing=missing)
    report += [failures.report()] if failures else []
    print("\n".join([f"{converted} converted into {output}, {missing} not", *report]))
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals())
