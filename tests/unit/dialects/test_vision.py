"""Which models look at images and videos, by their records and by their names, and how small an image may be for them."""

from __future__ import annotations

from typing import Any

import pytest

from ipin_proxy.call import IMAGE_PART, VIDEO_PART, Picture
from ipin_proxy.dialects.vision import by_name, check_sizes, least_side, takes
from ipin_proxy.errors import BadImage
from ipin_proxy.records import Model

SEEING = """
    gpt-4o gpt-4o-mini gpt-4o-2024-08-06 chatgpt-4o-latest openai/gpt-4o gpt-4-turbo gpt-4-turbo-2024-04-09
    gpt-4-vision-preview gpt-4.1 gpt-4.1-mini gpt-4.5-preview gpt-5 gpt-5-mini gpt-5.2-codex o1 o1-pro o3 o3-pro
    o4-mini openai/o3 o1-2024-12-17 ft:gpt-4o-mini-2024-07-18:org::x gpt4o claude-3-opus-20240229
    claude-3-5-sonnet-latest claude-3.5-haiku anthropic/claude-sonnet-4 claude-opus-4-1 claude-haiku-4-5
    us.anthropic.claude-3-5-sonnet-20241022-v2:0 claude-3-7-sonnet@20250219 gemini-1.5-pro gemini-2.0-flash
    models/gemini-2.5-pro gemini-3-pro-preview gemini-pro-vision gemini-flash-latest google/gemini-2.5-flash-lite
    gemini-pro-latest gemma-3-27b-it gemma3:4b google/gemma-3n-e4b-it gemma-4-31b medgemma-4b-it paligemma2-vl
    Qwen/Qwen2.5-VL-72B-Instruct qwen2.5vl:7b qwen-vl-max qwen3-vl:8b Qwen/Qwen3-VL-235B-A22B qvq-72b-preview
    qwen2.5-omni-7b qwen3-omni-30b qwen3.5-plus qwen3.5:35b Qwen/Qwen3.6-27B qwen2-vl-7b qwen-omni-turbo
    llama3.2-vision:11b meta-llama/Llama-3.2-90B-Vision-Instruct llama-3.2-11b-vision-preview
    accounts/fireworks/models/llama-v3p2-11b-vision-instruct llama-4-scout
    meta-llama/llama-4-maverick-17b-128e-instruct llama4:16x17b @cf/meta/llama-3.2-11b-vision-instruct
    pixtral-12b-2409 mistralai/pixtral-large mistral-small-2503 mistral-small-latest mistral-small3.1
    mistral-small-3.2-24b-instruct mistral-medium-latest mistral-medium-2505 mistral-medium-3 mistral-medium-3.1
    mistral-large-2512 ministral-3:8b grok-2-vision-1212 grok-vision-beta grok-4 x-ai/grok-4-fast grok-4-0709
    glm-4v glm-4.5v zai-org/GLM-4.1V-9B-Thinking glm-4.6v-flash THUDM/glm-4v-9b OpenGVLab/InternVL3-78B
    internvl2.5 kimi-vl-a3b-thinking moonshotai/Kimi-VL-A3B kimi-k2.5 moonshotai/Kimi-K2.6 openbmb/MiniCPM-V-2_6
    minicpm-v:8b MiniCPM-o-2_6 openbmb/MiniCPM-Llama3-V-2_5 llava:13b llava-hf/llava-v1.6-mistral-7b-hf
    llama3-llava-next-8b bakllava microsoft/Phi-3.5-vision-instruct phi-4-multimodal-instruct
    allenai/Molmo-7B-D-0924 deepseek-ai/deepseek-vl2 deepseek-ai/DeepSeek-OCR rednote-hilab/dots.ocr
    allenai/olmOCR-2-7B nanonets-ocr-s mistral-ocr-latest moonshot-v1-8k-vision-preview nova-lite
    amazon/nova-pro-v1 smolvlm cogvlm2-llama3 nvidia/llama-3.1-nemotron-nano-vl-8b-v1 command-a-vision-07-2025
    aya-vision-8b step3-vl granite3.2-vision google/paligemma-3b-mix-448 paligemma2-3b-pt-224 translategemma:12b
    google/translategemma-4b-it google/shieldgemma-2-4b-it
"""
BLIND = """
    gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-4 gpt-4-0613 gpt-4-32k openai/gpt-4 gpt-4-1106-preview gpt-4-0125-preview
    gpt-4-turbo-preview openai/gpt-oss-120b gpt-oss:20b o1-mini o1-preview o3-mini text-davinci-003 gpt-35-turbo
    claude-2 claude-2.1 claude-instant-1.2 anthropic.claude-v2:1 claude-v1 gemini-pro gemini-1.0-pro
    gemini-1.0-pro-001 gemma-2-9b-it gemma2:27b gemma:7b gemma-7b-it google/gemma-3-1b-it gemma3:1b gemma3:270m
    codegemma qwen3-235b-a22b qwen3:8b Qwen/Qwen3-32B qwen2.5:7b Qwen/Qwen2.5-72B-Instruct qwen2-7b
    qwen-2.5-coder-32b qwen1.5-110b qwq-32b qwen3-coder qwen3-max qwen3-next-80b qwen-72b
    meta-llama/Llama-3.3-70B-Instruct llama3 llama3.1:8b llama-3.2-3b-instruct llama3.2 llama-2-70b-chat
    codellama:34b tinyllama-1.1b meta-llama/llama-3-8b llama-v3p1-70b-instruct deepseek-r1-distill-llama-70b
    llama-3.3-70b-versatile meta.llama3-70b-instruct-v1:0 llama-7b mixtral-8x7b mistral-7b-instruct mistral:7b
    open-mistral-nemo codestral-latest mistral-small-2409 mistral-large-2411 mistral-small-24b-instruct-2501
    deepseek-chat deepseek-reasoner deepseek-r1 deepseek-ai/DeepSeek-V3 deepseek-v3.1 deepseek-coder-v2 glm-4
    glm-4.5 zai-org/GLM-4.6 glm-4-9b-chat chatglm3-6b grok-3 grok-3-mini grok-code-fast-1 grok-2 grok-2-1212
    grok-beta moonshotai/Kimi-K2-Instruct kimi-k2-0905 moonshot-v1-128k phi-4 phi3:mini microsoft/Phi-3-mini phi-2
    command-r-plus nova-micro
"""
UNKNOWN = """
    my-model gpt-upstream gpt-public gpt-same demo foo granite-3.3 kimi-latest mistral-large-x television step-3
    qwen-plus house/llm ernie-4.5 minimax-m2 glm-5 nemotron-ultra hermes devstral
    shieldgemma-2b t5gemma-2-270m-270m recurrentgemma-9b-it
"""


@pytest.mark.parametrize(("names", "answer"), [(SEEING, True), (BLIND, False), (UNKNOWN, None)])
def test_names_say_whether_a_model_sees(names: str, answer: bool | None):
    assert {name: by_name(name, IMAGE_PART) for name in names.split()} == dict.fromkeys(names.split(), answer)


def test_who_does_not_see_images_does_not_see_videos():
    assert {name for name in BLIND.split() if by_name(name, VIDEO_PART) is not False} == set()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("gemini-2.5-pro", True),
        ("Qwen/Qwen2.5-VL-7B-Instruct", True),
        ("qwen3.5-plus", True),
        ("glm-4.5v", True),
        ("kimi-k2.5", True),
        ("gpt-4o", False),
        ("claude-sonnet-4", False),
        ("llama-4-scout", False),
        ("pixtral-12b", False),
        ("llava:13b", None),
        ("my-model", None),
    ],
)
def test_names_say_whether_a_model_sees_videos(name: str, answer: bool | None):
    assert by_name(name, VIDEO_PART) is answer


def model(**fields: Any) -> Model:
    return Model.from_json({"id": "my-model", "providerId": "acme", **fields})


@pytest.mark.parametrize(
    ("fields", "images", "videos"),
    [
        ({}, None, None),
        ({"upstreamModel": "gpt-4o"}, True, False),
        ({"upstreamModel": "gpt-3.5-turbo"}, False, False),
        ({"id": "gpt-4o", "upstreamModel": "gpt-3.5-turbo"}, False, False),  # whose model it is knows better
        ({"id": "gpt-4o", "upstreamModel": "house-model"}, True, False),
        ({"deployments": [{"providerId": "b", "upstreamModel": "gemini-2.5-pro"}]}, True, True),
        ({"supportsImageUpload": True, "upstreamModel": "gpt-3.5-turbo"}, True, False),
        ({"supportsImageUpload": False, "supportsVideoUpload": True, "upstreamModel": "gpt-4o"}, False, True),
        ({"type": "ocr"}, True, False),
        ({"type": "embedding", "upstreamModel": "gemini-embedding-001"}, False, False),
        ({"type": "image", "supportsImageUpload": True}, True, False),
    ],
)
def test_a_record_goes_before_the_names(fields: dict[str, Any], images: bool | None, videos: bool | None):
    assert takes(model(**fields), IMAGE_PART) is images
    assert takes(model(**fields), VIDEO_PART) is videos


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 28),
        ("qwen2.5vl:7b", 28),
        ("qwen-vl-max", 28),
        ("QVQ-72B", 28),
        ("qwen2.5-omni", 28),
        ("Qwen3-VL-8B", 32),
        ("qwen3-omni", 32),
        ("qwen3-32b", 0),
        ("gpt-4o", 0),
    ],
)
def test_how_small_an_image_may_be(name: str, side: int):
    assert least_side(name) == side


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("qwen2-vl", (27, 100), "27 x 100 pixels; 'my-model' takes none with a side of less than 28"),
        ("qwen2-vl", (100, 0), "100 x 0 pixels"),
        ("qwen3-vl", (31, 31), "less than 32"),
        ("qwen2-vl", (28, 5601), "whose one side is more than 200 times the other"),
        ("qwen2-vl", (5601, 28), "whose one side is more than 200 times the other"),
    ],
)
def test_what_qwen_fails_at_is_refused(name: str, size: tuple[int, int], says: str):
    pictures = (
        Picture(IMAGE_PART, "first"),
        Picture(IMAGE_PART, "second", (500, 500)),
        Picture(IMAGE_PART, "third", size),
    )
    check_sizes(pictures[:2], name, "my-model")
    check_sizes(pictures, "gpt-4o", "my-model")
    with pytest.raises(BadImage, match=says) as caught:
        check_sizes(pictures, name, "my-model")
    assert caught.value.param == "third"


def test_what_qwen_just_takes_is_let_through():
    for name, size in (("qwen2-vl", (28, 5600)), ("qwen2-vl", (28, 28)), ("qwen3-vl", (32, 6400))):
        check_sizes((Picture(IMAGE_PART, "it", size),), name, "my-model")
