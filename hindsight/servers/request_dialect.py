"""The parameters that a server does not accept: sent under the name that it expects, or left out.

OpenAI's reasoning models expect `max_completion_tokens` instead of `max_tokens` and refuse `temperature` and `top_p`;
strict servers refuse `seed`. The server's own refusal shows this.
"""

import re
from dataclasses import dataclass, field
from typing import Any

# In this order, because some servers refuse top_p together with a temperature; "": the parameter is left out.
CHANGES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
CHANGES |= {"top_p": "", "seed": "", "temperature": ""}
_REFUSES = re.compile(
    r"unsupported|n[o']t (yet )?(support|accept|take|implement)|not (permitted|allowed|available)|cannot both"
    r"|un(known|expected|recogni[sz]ed)|extra|no such|forbidden|illegal|disabled|is an invalid|deprecated|instead|unset"
    r"|only (the default|be set|\S+ is allowed|\S+ supported)|fixed at"
    r"|(must|should) be (set to )?1(\.0+)?(?![\w.]*\w| or)|invalid (parameter|argument|field)s?:? \W?\w+\W*$",
    re.IGNORECASE,
)
_TAKES = re.compile(r"\b(expected one of|(supported|allowed|valid|known) \w+( are)?:).*", re.IGNORECASE | re.DOTALL)


@dataclass
class RequestDialect:
    """What is known about a server's parameters: `changed` has the new name of each, or "" for one that is left out."""

    changed: dict[str, str] = field(default_factory=dict)

    def sent(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request's body as the server accepts it."""
        names = {key: self.changed.get(key, key) for key in body}
        return {name: body[key] for key, name in names.items() if name}

    def recorded(self, body: dict[str, Any]) -> dict[str, Any]:
        """The same, with the names of the parameters that are left out under `not_sent`, if there are any."""
        left_out = [key for key in body if self.changed.get(key) == ""]
        return {**self.sent(body), **({"not_sent": left_out} if left_out else {})}

    def learn(self, refusal: str, sent: dict[str, Any]) -> bool:
        """After a refusal of `sent`, whether another request may succeed: the refusal names a parameter to change."""
        refused = _TAKES.sub("", refusal)  # without a list of what the server accepts
        if not _REFUSES.search(refused):
            return False
        for name, other in CHANGES.items():
            if name in sent and re.search(rf"(?<![\w-]){name}(?![\w-])", refused) and other not in self.changed:
                self.changed[name] = other
                return True
        return False

    def sentences(self, server: str) -> list[str]:
        """What differs from the settings, for the report of a run."""
        left_out = [name for name, other in self.changed.items() if not other]
        renamed = [f"{server} wants {other} for {name}" for name, other in self.changed.items() if other]
        return renamed + [f"{server} does not take {name}, which is not sent" for name in left_out]
