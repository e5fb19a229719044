"""Errors as Anthropic's clients read them: type by status, and the one sentence by which they know that a prompt is too long.

Every provider says that in words of its own. Claude Code makes its conversation shorter when it reads "prompt is too long: N
tokens > M maximum", and asks for a shorter answer when it reads that input and `max_tokens` together are too much.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import BadRequest, ProxyError, UpstreamError
from ..web.sse import frame

Json = dict[str, Any]

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
OVERLOADED = frozenset({429, 503, 529})
LOOKED_AT_CHARS = 4000

CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"})
# With which an overflow is told (500: llama.cpp; 502: an error in a 200).
REFUSALS = frozenset({400, 413, 422, 500, 502})
N = r"(?P<n>\d[\d,]*)"
M = r"(?P<m>\d[\d,]*)"
A = r"(?P<a>\d[\d,]*)"  # of the answer
# What providers say, the more telling before the less: tokens of the prompt (n), of the answer (a), that fit (m).
WORDINGS = (
    # Anthropic itself, which needs no other words; so do those who copy them.
    rf"prompt is too long: {N} tokens > {M} maximum",
    rf"exceed context limit: {N} \+ {A} > {M}",
    # OpenAI, vLLM, DeepSeek, OpenRouter: "maximum context length is M tokens. However, you requested about T tokens (N in the
    # messages, A in the completion)", with more kinds between them at OpenRouter.
    rf"maximum context length is {M} tokens.{{0,80}}?requested.{{0,40}}?tokens \({N} (?:in the messages|of text input|in your prompt)"
    rf"[^)]{{0,120}}?{A} (?:in|of|for) the (?:completion|output)",
    # vLLM: "'max_tokens' … is too large: A. This model's maximum context length is M tokens and your request has N input tokens"
    rf"too large: {A}\. This model's maximum context length is {M} tokens and your request has {N} input tokens",
    # vLLM, newer: "passed N input tokens and requested A output tokens. However, the model's context length is only M tokens"
    rf"passed {N} input tokens and requested {A} output tokens.{{0,80}}?context length is only {M}",
    # SGLang: "maximum context length of M tokens. … N tokens from the input messages and A tokens for the completion"
    rf"maximum context length of {M} tokens.{{0,120}}?{N} tokens from the input messages and {A} tokens",
    # OpenAI and vLLM: "maximum context length is M tokens. However, your messages resulted in N tokens"
    rf"maximum context length is {M} tokens.{{0,80}}?(?:resulted in|requested(?: about)?|request has) {N}",
    # llama.cpp: "request (N tokens) exceeds the available context size (M tokens)"
    rf"\({N} tokens\) exceeds the available context size \({M}",
    # Gemini: "The input token count (N) exceeds the maximum number of tokens allowed (M)"
    rf"token count \(?{N}\)? exceeds the maximum number of tokens(?: allowed)? \(?{M}",
    # vLLM, long prompts: "prompt (length N) is longer than the maximum model length of M"; SGLang: "input (N tokens) …"
    rf"(?:prompt|input) \((?:total )?(?:length )?{N}(?: tokens)?\) is (?:longer than|too long to fit into) the [^\d]{{0,60}}{M}",
    # Mistral: "Prompt contains N tokens … too large for model with M maximum context length"
    rf"contains {N} tokens.{{0,60}}?too large for model with {M}",
    # xAI: "maximum prompt length is M but the request contains N tokens"
    rf"maximum prompt length is {M} but the request contains {N}",
    rf"(?:current length is|prompt is too long:) {N}.{{0,60}}?(?:limit is|maximum context length:?) {M}",
)
# What says it without numbers.
SIGNS = (
    r"prompt is too long|prompt_too_long|context_length_exceeded|maximum context length|context window"
    r"|exceeds? the (?:available |maximum )?context|exceed(?:s|ed)? (?:the )?(?:model's )?context (?:length|limit|size)"
    r"|input is too long|exceeds the maximum number of tokens|reduce the length of (?:the|your) (?:messages|prompt|input)"
    r"|too many tokens in (?:the )?prompt"
)


def encode_error(error: ProxyError, request_id: str) -> Json:
    """The body of a refusal."""
    told = overflow(error) or error
    inner = {"type": type_of(told.status), "message": told.message, **told.details}
    return {"type": "error", "error": inner, "request_id": request_id}


def encode_stream_error(error: ProxyError, request_id: str) -> bytes:
    """The last event of a stream that is broken off: nothing is closed before it."""
    told = overflow(error) or error
    kind = "overloaded_error" if told.status in OVERLOADED else "api_error"
    if told is not error:
        kind = "invalid_request_error"
    inner = {"type": kind, "message": told.message}
    return frame(json.dumps({"type": "error", "error": inner, "request_id": request_id}), "error")


def type_of(status: int) -> str:
    return TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def overflow(error: ProxyError) -> ProxyError | None:
    """The refusal of a prompt that is too long, with status 400 and the words that clients look for; None for others."""
    if not isinstance(error, UpstreamError) or (error.code not in CODES and error.status not in REFUSALS):
        return None
    message = overflow_message(error.message, certain=error.code in CODES)
    if message is None:
        return None
    return BadRequest(
        message, code="context_length_exceeded", param=error.param, headers=error.headers, details=error.details
    )


def overflow_message(message: str, *, certain: bool = False) -> str | None:
    """What a provider says of a prompt that is too long, in Anthropic's words; None when it says something else. `certain`: by
    its code it says just that, whatever its words are."""
    text = message[:LOOKED_AT_CHARS]
    for wording in WORDINGS:
        found = re.search(wording, text, re.IGNORECASE | re.DOTALL)
        if found is None:
            continue
        told = {name: int(digits.replace(",", "")) for name, digits in found.groupdict().items()}
        entered, most, answer = told["n"], told["m"], told.get("a", 0)
        if entered <= most and answer:
            return (
                f"input length and `max_tokens` exceed context limit: {entered} + {answer} > {most}, "
                "decrease input length or `max_tokens` and try again"
            )
        if entered > most:
            return f"prompt is too long: {entered} tokens > {most} maximum"
    if certain or re.search(SIGNS, text, re.IGNORECASE):
        return text if "prompt is too long" in text else f"prompt is too long: {text}"
    return None
