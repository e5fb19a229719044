"""What providers want of a chat, where they differ: by the host that is asked, and the name the model has there.

The defaults are what all take, or what most do; what is known otherwise stands in the rules below. They say nothing of
whether a provider works, and what a provider is found to refuse is remembered elsewhere (`manners.py`).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
MOST_ID_CHARS = 40  # of a call's id, at OpenAI's; vLLM gives 46, and a conversation may change from one to the other
SHORT_ID_CHARS = 9  # letters and digits, and exactly so many, where ids are short
SHORT_ID = re.compile(rf"[A-Za-z0-9]{{{SHORT_ID_CHARS}}}")


class Taste(NamedTuple):
    """`efforts` are the words for `reasoning_effort` the model takes, none for one that does not reason; with `reasoning` they
    stand in an object of that name, with a budget where one was given. `hands_back`: its reasoning must come back with every
    message that called tools. `continues`: a last message of the assistant is gone on with, if told to. `extras`: what stood
    beside a call, such as a signature, may come back with it."""

    efforts: tuple[str, ...] = EFFORTS
    reasoning: bool = False
    hands_back: bool = False
    cache_control: bool = False
    top_k: bool = False
    completion_tokens: bool = False
    sampling: bool = True
    most_stops: int | None = None
    leading_system: bool = False
    most_id_chars: int | None = None
    short_ids: bool = False
    user: bool = True
    continues: bool = False
    extras: bool = True

    def fitting_id(self, id: str) -> str:
        """The id of a call as it is taken: the one it has, or one made of that. Some gateways have signatures in theirs, and
        want them back as they were."""
        most = SHORT_ID_CHARS if self.short_ids else self.most_id_chars
        if most is None or (SHORT_ID.fullmatch(id) if self.short_ids else len(id) <= most):
            return id
        return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:most]


USUAL = ("low", "medium", "high")
# Names of models that reason. What is not known to do so is not told how much: many servers refuse the member.
REASONING = re.compile(
    r"(?:^|/)o[1-9](?![a-z\d])|gpt-[5-9]|gpt-oss|deepseek-(?:r|v3\.[1-9]|v[4-9]|reasoner)|qwq|qwen-?(?:3|[4-9])"
    r"|gemini-(?:2\.5|[3-9])|grok-(?:3-mini|[4-9])|glm-(?:4\.[5-9]|[5-9])|kimi-k2\.[5-9]|magistral|minimax-m"
    r"|claude-(?:3[.-]7|[4-9]|opus|sonnet|haiku)|reason|think",
    re.IGNORECASE,
)
OPENAI_REASONING = re.compile(r"(?:^|/)o[1-9](?![a-z\d])|gpt-[5-9](?!.*chat)", re.IGNORECASE)
KNOWS_NONE = re.compile(r"gpt-(?:5\.[1-9]|[6-9])", re.IGNORECASE)
HANDS_BACK = re.compile(r"deepseek-(?:r|v3\.[1-9]|v[4-9]|reasoner)|kimi-k2.*(?:think|\.[5-9])", re.IGNORECASE)
CLAUDE = re.compile(r"claude", re.IGNORECASE)

OPENAI = re.compile(r"api\.openai\.com|.+\.openai\.azure\.com|.+\.cognitiveservices\.azure\.com")
OPENROUTER = re.compile(r"(?:.+\.)?openrouter\.ai")
GEMINI = re.compile(r"generativelanguage\.googleapis\.com|.*aiplatform\.googleapis\.com")
GROQ = re.compile(r"api\.groq\.com")
XAI = re.compile(r"(?:.+\.)?api\.x\.ai|api\.x\.ai")
MISTRAL = re.compile(r"(?:.+\.)?mistral\.ai")
DEEPSEEK = re.compile(r"api\.deepseek\.com")
MOONSHOT = re.compile(r"api\.moonshot\.(?:ai|cn)")


@lru_cache(maxsize=1024)
def taste_of(host: str, model: str) -> Taste:
    """What a model wants to be told in a chat, at this host."""
    host = host.lower()
    usual = USUAL if REASONING.search(model) else ()
    if OPENAI.fullmatch(host):
        if not OPENAI_REASONING.search(model):
            return Taste(efforts=(), most_stops=4, most_id_chars=MOST_ID_CHARS, extras=False)
        efforts = ("none", *USUAL, "xhigh") if KNOWS_NONE.search(model) else USUAL
        return Taste(
            efforts=efforts,
            completion_tokens=True,
            sampling=False,
            most_stops=4,
            most_id_chars=MOST_ID_CHARS,
            extras=False,
        )
    if OPENROUTER.fullmatch(host):
        is_claude = CLAUDE.search(model) is not None
        return Taste(
            reasoning=True,
            hands_back=HANDS_BACK.search(model) is not None,
            cache_control=is_claude,
            top_k=True,
            most_id_chars=MOST_ID_CHARS,
        )
    if GEMINI.fullmatch(host):
        return Taste(efforts=("none", *USUAL) if usual else (), leading_system=True, most_stops=4)
    if GROQ.fullmatch(host) or XAI.fullmatch(host):
        return Taste(efforts=usual, most_stops=4, extras=False)
    if MISTRAL.fullmatch(host):
        return Taste(efforts=(), short_ids=True, user=False, extras=False)
    if DEEPSEEK.fullmatch(host) or MOONSHOT.fullmatch(host):
        # Kimi and DeepSeek think by the model's name or by themselves, and must be handed back what they thought.
        return Taste(efforts=(), hands_back=True, extras=False)
    return Taste(efforts=usual, hands_back=HANDS_BACK.search(model) is not None)
