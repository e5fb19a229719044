"""Chutes that draw: `/generate` takes a prompt, a size and a few members of its own, and answers one picture.

OpenAI's `n` is as many requests, its `size` two numbers; uploads are sent as `image_b64`. What it has and a chute has not is
left out where it changes only the looks, and refused where the answer would be another one.

Sources: the templates and examples in chutesai/chutes.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..call import Bill, Call, Deployment, Usage
from ..errors import BadRequest, Unsupported, UpstreamError
from ..records import Provider
from ..upstream import Base64Range, Content, Piece
from ..web.response import JSON_TYPE
from . import drawings
from .chutes_hosts import IMAGE_HOST, Json, Requests, host_in, json_of, members_of
from .openai import raise_if_error
from .ownpaths import request_to

MOST_PICTURES = 10
SIZE = re.compile(r"([1-9][0-9]{0,4})\s*[xX×]\s*([1-9][0-9]{0,4})")
# What `/generate` knows beside the prompt and the size, and what each is in a form.
PICTURE_MEMBERS: Mapping[str, Callable[[str], Any]] = {
    "negative_prompt": str,
    "num_inference_steps": int,
    "guidance_scale": lambda text: finite(float(text)),
    "seed": int,
    "width": int,
    "height": int,
}


def generate(call: Call, deployment: Deployment, number: int) -> Requests:
    """One of the pictures asked for; with a seed each has its own, or they would all be the same."""
    asked = members_of(call) if call.form is None else fields_of(call, deployment.provider)
    check_picture(asked, deployment.provider)
    pictures_asked_for(call)
    said = {"prompt": asked["prompt"]}
    if host_in(deployment.provider.base_url) == IMAGE_HOST:
        said["model"] = deployment.upstream_model
    said |= {name: asked[name] for name in (*PICTURE_MEMBERS, "image_b64") if asked.get(name) is not None}
    said |= size_of(asked.get("size"))
    if number and type(said.get("seed")) is int:
        said["seed"] += number
    yield request_to(
        deployment, "/generate", [json.dumps(said).encode()] if call.form is None else pictures_and(said, call)
    )


def check_picture(asked: Json, provider: Provider) -> None:
    """What no chute can do is said before one is asked. Raises BadRequest."""
    if asked.get("stream") not in (None, False):
        raise Unsupported(f"Provider '{provider.id}' draws a picture as a whole; leave out stream.", param="stream")
    if asked.get("response_format") not in (None, "b64_json"):
        raise Unsupported(
            f"Provider '{provider.id}' answers with the picture itself; ask for response_format=b64_json.",
            param="response_format",
        )
    if not isinstance(asked["prompt"], str):
        raise BadRequest("'prompt' must be a text.", code="missing_prompt", param="prompt")


def pictures_asked_for(call: Call) -> int:
    n: Any = call.member("n") if call.form is None else call.field("n")
    if call.form is not None and n:
        n = int(n) if n.isascii() and n.isdigit() and len(n) < 4 else n
    if n in (None, ""):
        return 1
    if type(n) is not int or not 1 <= n <= MOST_PICTURES:
        raise BadRequest(f"'n' must be a whole number from 1 to {MOST_PICTURES}.", param="n")
    return n


def size_of(size: Any) -> Json:
    """`1024x768` as width and height; nothing where the model may choose."""
    if size in (None, "", "auto"):
        return {}
    found = SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if found is None:
        raise BadRequest("'size' must be width x height, such as 1024x1024, or auto.", param="size")
    return {"width": int(found[1]), "height": int(found[2])}


def fields_of(call: Call, provider: Provider) -> Json:
    """The fields of a form, as the members they would be. Raises BadRequest."""
    assert call.form is not None
    if any(part.name.removesuffix("[]") == "mask" for part in call.form.parts):
        raise Unsupported(f"Provider '{provider.id}' takes no mask; leave it out.", param="mask")
    asked: Json = {name: call.field(name) for name in ("prompt", "size", "response_format")}
    asked["stream"] = call.wants_stream
    for name, kind in PICTURE_MEMBERS.items():
        text = call.field(name)
        try:
            asked[name] = kind(text) if text else None
        except ValueError:
            raise BadRequest(f"'{name}' must be a number, not '{text:.40}'.", param=name) from None
    return asked


def finite(number: float) -> float:
    """Raises ValueError for what JSON has no digits for."""
    if not math.isfinite(number):
        raise ValueError
    return number


def pictures_and(members: Json, call: Call) -> list[Piece]:
    """What was asked for, and the files of the form in base64."""
    assert call.form is not None
    pieces: list[Piece] = [json.dumps(members)[:-1].encode() + b', "image_b64": ["']
    for file in call.form.files:
        pieces += [Base64Range(file.source, file.begin, file.begin + file.size), b'", "']
    pieces[-1] = b'"]}'
    return pieces


def drawn(contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
    """The pictures of all replies as OpenAI's answer. They are what was made; nobody tells anything else."""
    rows: list[dict[str, str]] = []
    for content in contents:
        media_type = content.media_type.partition(";")[0].strip().lower()
        found = drawings.rows_of(media_type, content.body)
        if found is None:
            raise_if_error(json_of(content, deployment), deployment)
            raise UpstreamError(f"Provider '{deployment.provider.id}' answered without a picture.")
        rows += found
    bill.used(Usage(images=len(rows)))
    return Content(JSON_TYPE, json.dumps({"created": int(time.time()), "data": rows}).encode())
