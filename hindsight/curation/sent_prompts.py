"""Whether an answer was sampled with the prompts that its row would have.

A record contains the prompt that was sent: a transcript (text), a chat (messages), or, in switching, both by role. It
is compared with the prompt that this step's PROMPT_FILE gives for the same problem, so an edited file is noticed too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hindsight.curation.training_rows import RowOptions
from hindsight.errors import UserError
from hindsight.files.runs import read_run
from hindsight.text import few_shot
from hindsight.text.prompts import Prompts


def has_other_prompts(record: Mapping[str, Any], prompts: Prompts) -> bool:
    """Whether an answer was sampled with prompts other than `prompts`; False if its record does not contain any."""
    sent, problem = record.get("prompt"), record["metadata"]
    by_role = sent if isinstance(sent, dict) else {"": sent}
    for prompt in by_role.values():
        if isinstance(prompt, str) and prompt and prompt != prompts.transcript(problem):
            return True
        if isinstance(prompt, list) and prompt and prompt != prompts.chat(problem):
            return True
    return False


def refuse_other_prompts(folder: Path, rows: RowOptions) -> None:
    """Raises UserError for a run folder whose answers were sampled with prompts other than those of the rows.

    Does nothing if no sampling script of this repository made the folder, as with the paper's own files: no setting
    here reproduces their prompts.
    """
    run = read_run(folder)
    if run["script"] is None:
        return
    settings = run.get("settings", {})
    file, with_system = settings.get("prompt_file") or "", settings.get("system_prompt", True)
    style = settings.get("prompt_style") or ""
    if style != rows.prompt_style:
        cause = f"{_styled(style)}, not {_styled(rows.prompt_style)}"
        remedy = f"give --prompt_style {style}" if style else "leave PROMPT_STYLE empty"
        remedy = "sample it in another style" if style == few_shot.STYLE else remedy
    elif with_system != rows.system_prompt:
        cause = f"{'with' if with_system else 'without'} a system message (SYSTEM_PROMPT {str(with_system).lower()})"
        remedy = f"give --system_prompt {str(with_system).lower()}"
    elif file != rows.prompt_file:
        cause = f"with {_described(file)}, not {_described(rows.prompt_file)}"
        remedy = f"give --prompt_file {file}" if file else "leave PROMPT_FILE empty"
    elif style:
        cause, remedy = f"{_styled(style)}, whose prompts have changed since", "sample it again"
    else:
        cause = f"with {_described(file)}, which have changed since"
        remedy = "restore them"
    raise UserError(
        f"{folder} was sampled {cause}, so its rows would not have the prompts that were sent: {remedy}, "
        "or give --other_prompts to train on them as answers to other prompts"
    )


def _styled(style: str) -> str:
    return f"with PROMPT_STYLE {style}" if style else "in the uniform format"


def _described(prompt_file: str) -> str:
    return f"the prompts of {prompt_file}" if prompt_file else "the default prompts"
