"""The settings of the study: each is a model, how it is asked, and a folder of answers.

The question is whether a merged model solves more problems in ten tries than both of its parents, so each parent has
its own sweep: the base model in its own prompt and in chat at several temperatures, the instruct model at several
temperatures. The other methods are switching and fine-tunings that were stopped early. No distribution is truncated
(top_p is 1), so only the temperature changes the diversity of a model.
"""

from dataclasses import dataclass

TEMPERATURE = 0.7  # of merged models and of switching, the paper's
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # 0 and 1 are the parents in chat at TEMPERATURE
MAIN_ALPHAS = (0.2, 0.4, 0.6, 0.8)
BASE_TEMPERATURES, MAIN_BASE_TEMPERATURES = (0.3, 0.5, 0.7, 1.0), (0.5, 0.7)
CHAT_TEMPERATURES, MAIN_CHAT_TEMPERATURES = (0.5, 0.7, 1.0), (0.7,)  # of the base model in chat
INSTRUCT_TEMPERATURES, MAIN_INSTRUCT_TEMPERATURES = (0.7, 1.0, 1.2, 1.4), (0.7, 1.2)
TURNS = (("5", "10"), ("10", "10"), ("10", "40"))  # tokens per turn of the base and of the instruct model
MAIN_TURNS = TURNS[1:2]
EARLY_STEPS = (15, 30)  # steps of the shorter fine-tunings; lab.training.train_models has INSTRUCT_STEPS


@dataclass(frozen=True)
class Setting:
    """One model and how it is asked.

    kind: base (its own prompt, a transcript), chat, or switching. alpha and method describe a merge; 0 and 1 are its
    parents. The base model in chat is served as a merge at alpha 0, which is the base model to the bit but stops at the
    instruct model's end tokens. steps: those of a fine-tuning stopped early, else 0; turns: K and P of switching.
    """

    name: str
    kind: str
    temperature: float
    alpha: float | None = None
    method: str = "lerp"
    steps: int = 0
    turns: tuple[str, str] = ("", "")

    @property
    def label(self) -> str:
        """Its name in tables."""
        if self.kind == "switching":
            return f"switching, K {self.turns[0]}, P {self.turns[1]}"
        if self.steps:
            return f"fine-tuned for {self.steps} steps"
        if self.alpha in (0, 1):
            model = "base, own prompt" if self.kind == "base" else "instruct" if self.alpha else "base in chat"
            return f"{model}, T {self.temperature:g}"
        return f"merged, alpha {self.alpha:g}, {self.method.upper()}"

    @property
    def served(self) -> tuple:
        """Identifies the served models: settings with equal values share a server, merges of all alphas too."""
        if self.kind in ("base", "switching") or self.alpha == 1:
            return ("parents",)
        return ("early", self.steps) if self.steps else ("merge", self.method)

    @property
    def parent(self) -> str:
        """The parent that answers if the model is not merged."""
        return "instruct" if self.alpha == 1 else "base"

    @property
    def server_name(self) -> str:
        """The name of its model on the server."""
        if self.served == ("parents",):
            return f"lab-{self.parent}"
        return self.name if self.steps else f"lab-{self.method}"


def list_settings(everything: bool) -> list[Setting]:
    """All settings, or the main ones: first the parents and switching, then merges, then shorter fine-tunings."""
    base = BASE_TEMPERATURES if everything else MAIN_BASE_TEMPERATURES
    chat = CHAT_TEMPERATURES if everything else MAIN_CHAT_TEMPERATURES
    instruct = INSTRUCT_TEMPERATURES if everything else MAIN_INSTRUCT_TEMPERATURES
    turns = TURNS if everything else MAIN_TURNS
    alphas = ALPHAS if everything else MAIN_ALPHAS
    found = [Setting(f"base_T{t:g}", "base", t, alpha=0.0) for t in base]
    found += [Setting(f"instruct_T{t:g}", "chat", t, alpha=1.0) for t in instruct]
    found += [Setting(f"switching_K{k}_P{p}", "switching", TEMPERATURE, turns=(k, p)) for k, p in turns]
    found += [Setting(f"base_chat_T{t:g}", "chat", t, alpha=0.0) for t in chat]
    found += [Setting(f"lerp_{alpha:g}", "chat", TEMPERATURE, alpha) for alpha in alphas]
    if everything:
        found += [Setting(f"early_{steps}", "chat", TEMPERATURE, steps=steps) for steps in EARLY_STEPS]
        found += [Setting(f"slerp_{alpha:g}", "chat", TEMPERATURE, alpha, "slerp") for alpha in ALPHAS]
    return found
