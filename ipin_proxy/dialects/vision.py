"""Which models look at images and videos, by their names, and how small an image may be for them.

A model's record goes before its name; where it says nothing, the name does: that of the model at its providers, else the
public one. The table holds families, not every model there is: only a family that is known not to see is refused, and a
name that nobody knows, such as one somebody made up, is left to the provider.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..call import IMAGE_PART, Picture
from ..errors import BadImage
from ..records import Model

# A family's names, in lower case; whether it takes images; whether it takes videos (None: it differs, or is not known).
# The first that is found in a name counts, so what is special stands before what is general.
FAMILIES: tuple[tuple[str, bool, bool | None], ...] = (
    # Qwen: the vision models, and from 3.5 on all of them.
    (r"qwen[\d.]*-?(?:vl|omni)|qvq|qwen-?(?:3\.[5-9]|[4-9])(?!\d*b)", True, True),
    # Whatever has it in its name.
    (r"glm-?[4-9](?:\.\d+)?v|internvl|intern-s1|kimi-k2\.[5-9]|llava-(?:next-)?(?:video|onevision)", True, True),
    (r"(?<![a-z])(?:vl|vlm|vision|multimodal)(?![a-z])|[a-z]vlm?(?![a-z])|ocr(?![a-z])|llava|docling", True, None),
    (r"minicpm-?(?:llama3-)?[vo]|molmo|moondream|idefics|cogagent|fuyu|ui-tars|(?<![a-z])ovis|janus", True, None),
    # Anthropic: from Claude 3 on.
    (r"claude-(?:instant|v?[12](?!\d))", False, False),
    (r"claude", True, False),
    # OpenAI: from GPT-4 Turbo on, but the small models of the first o-series.
    (r"gpt-?3|gpt-oss|davinci|babbage|gpt-4-(?:1106|0125|turbo)-preview", False, False),
    (r"gpt-4(?:-32k)?(?:-(?:0314|0613))?(?![\w.-])|(?:^|/)(?:o1-mini|o1-preview|o3-mini)", False, False),
    (r"gpt-?4o|gpt-4[.-]?[15](?!\d)|gpt-4-turbo|gpt-[5-9]|(?:^|/)o[1-9](?![a-z\d])", True, False),
    # Google: Gemini but its first; Gemma from 3 on, but its smallest. What else is called so has eyes of its own, or none.
    (r"gemini-(?:1\.0-)?pro(?:-00\d)?(?![\w.-])|gemini-1\.0", False, False),
    (r"gemini", True, True),
    (r"codegemma|(?<![a-z\d])gemma[-:]?(?:1\.1|2|\d+b)(?!\d)|gemma-?3[:-](?:1b|270m)|medgemma.*text", False, False),
    (r"gemma-?4|gemma-?3n|(?:pali|translate)gemma|shieldgemma-2(?!b)", True, None),
    (r"gemma-?3|medgemma", True, False),
    # Meta: Llama 3.2 in its two large sizes, and from 4 on. Who builds on an older one may have given it eyes, and says so.
    (r"llama-?(?:3\.2|v3p2)[a-z-]*-(?:11b|90b)|llama-?(?:guard-)?[4-9](?!\d*b)", True, False),
    (r"llama-?v?[23](?!\d*b)|(?:code|tiny)llama|llama-?\d+b", False, False),
    # Mistral: Small from 3.1 on, Medium from 3 on, Large from 3 on.
    (r"pixtral|mistral-small-?(?:3\.[1-9]|4|latest|250[3-9]|25[1-9]\d|2[6-9]\d\d)", True, False),
    (r"mistral-medium-?(?:3|latest|2[5-9]\d\d)|mistral-large-?(?:3|latest|2512|2[6-9]\d\d)|ministral-3", True, False),
    (r"mixtral|codestral|mathstral|open-mistral|mistral-?(?:7b|nemo|tiny)|mistral(?![\w.-])", False, False),
    (r"mistral-(?:small|large)-?(?:24\d\d|2501|24b-instruct-2501)", False, False),
    # xAI
    (r"grok-(?:code|beta|[123])(?!\d)", False, False),
    (r"grok-[4-9]", True, False),
    # Amazon
    (r"nova-micro", False, False),
    (r"nova-(?:lite|pro|premier|2)", True, True),
    # The others, of which what sees has been found above.
    (r"kimi-k2(?![\d.])|moonshot-v1", False, False),
    (r"qwq|qwen-?(?:1\.5|2\.5|[123])(?![\d.])|qwen-?\d+b|codeqwen", False, False),
    (r"deepseek-(?:chat|reasoner|coder|llm|math|prover|r1|v2|v3)", False, False),
    (r"chatglm|glm-?z1|glm-?4", False, False),
    (r"(?<![a-z])phi-?[1-4](?![\d])", False, False),
    (r"command-(?:r|a-03|light|nightly)", False, False),
)

# Qwen-VL works in squares of so many pixels, and what is smaller than one of them ends in an error of the server, at some
# also in its end. (14 pixels a patch, two by two of them merged; 16 from the third generation on.)
_QWEN_3_VL = re.compile(r"qwen-?3[\d.]*-?(?:vl|omni)")
_QWEN_VL = re.compile(r"qwen[\d.]*-?(?:vl|omni)|qvq")
MOST_RATIO = 200


def takes(model: Model, kind: str) -> bool | None:
    """Whether a model takes parts of this kind; None: nobody knows."""
    told = model.supports_image_upload if kind == IMAGE_PART else model.supports_video_upload
    if told is not None:
        return told
    if model.type != "chat":
        return model.type == "ocr" and kind == IMAGE_PART
    upstream = {model.upstream_model or model.id, *(row.upstream_model for row in model.deployments)} - {None}
    known = {by_name(name, kind) for name in upstream if name is not None} - {None}
    return any(known) if known else by_name(model.id, kind)


@lru_cache(maxsize=4096)
def by_name(name: str, kind: str) -> bool | None:
    """Whether models of this name take parts of this kind; None: nobody knows."""
    name = name.lower()
    for names, images, videos in _families():
        if names.search(name):
            return images if kind == IMAGE_PART else videos
    return None


@lru_cache(maxsize=1)
def _families() -> list[tuple[re.Pattern[str], bool, bool | None]]:
    """Compiled when the first name is looked up: a start need not wait for it."""
    return [(re.compile(names), images, videos) for names, images, videos in FAMILIES]


def check_sizes(pictures: tuple[Picture, ...], upstream_model: str, shown_model: str) -> None:
    """Raises BadImage for an image that the model is known to fail at."""
    least = least_side(upstream_model)
    if not least:
        return
    for each in pictures:
        if each.size is None:
            continue
        width, height = each.size
        if min(width, height) < least:
            raise BadImage(
                f"The image is {width} x {height} pixels; '{shown_model}' takes none with a side of less than {least}. "
                "Send a larger one.",
                param=each.place,
            )
        if max(width, height) > MOST_RATIO * min(width, height):
            raise BadImage(
                f"The image is {width} x {height} pixels; '{shown_model}' takes none whose one side is more than {MOST_RATIO} "
                "times the other. Cut it into pieces.",
                param=each.place,
            )


@lru_cache(maxsize=4096)
def least_side(upstream_model: str) -> int:
    """How many pixels each side of an image must have at least; 0: any number."""
    name = upstream_model.lower()
    return 32 if _QWEN_3_VL.search(name) else 28 if _QWEN_VL.search(name) else 0
