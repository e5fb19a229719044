"""Prompts of aliases, whatever a body holds and whatever a client wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.prompts import for_chat, for_messages, for_responses, sections
from ipin_proxy.records import SystemPrompt

SAID = "# Environment\n<env>\nPlatform: linux\n</env>\n# MCP Server Instructions\nLook first."


def prompt(template: str = "OURS", mode: str = "prepend") -> SystemPrompt:
    return SystemPrompt(template=template, mode=mode)


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["system", "developer", "user", "text", SAID]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "text", "type"]), inner)
    ),
    max_leaves=12,
)
MODES = st.sampled_from(["replace", "prepend", "append"])


@given(JUNK, MODES, st.sampled_from(["OURS", "", "{{ENV_INFO}}", "{{MODEL_INFO}} {{X}}"]))
def test_whatever_a_body_holds_it_is_not_changed_and_what_comes_out_can_be_sent(
    value: Any, mode: str, template: str
) -> None:
    for shape, member, *also in (
        (for_chat, "messages"),
        (for_messages, "system"),
        (for_responses, "instructions"),
        (for_responses, "input", "instructions"),
    ):
        body = {member: value}
        before = json.dumps(body)
        changes = shape(body, prompt(template, mode))
        assert json.dumps(body) == before
        assert set(changes) <= {member, *also}
        json.dumps(changes)


@given(st.text(), st.text(min_size=1), MODES)
def test_what_a_client_wrote_is_all_there_unless_it_is_replaced(theirs: str, ours: str, mode: str) -> None:
    template = ours.replace("{{", "")
    for found in (
        for_responses({"instructions": theirs}, prompt(template, mode)).get("instructions", theirs),
        for_messages({"system": theirs}, prompt(template, mode)).get("system", theirs),
    ):
        assert (template if mode == "replace" and template.strip() else theirs) in found or not template.strip()
        assert template in found or not template.strip()


@given(
    st.lists(
        st.sampled_from(
            [
                "# Environment",
                "## x",
                "# MCP Server Instructions",
                "```",
                "<env>",
                "</env>",
                "You are powered by y",
                "z",
            ]
        )
    )
)
def test_a_section_is_a_piece_of_the_prompt(lines: list[str]) -> None:
    whole = "\n".join(lines)
    assert sections(whole)["MCP_INSTRUCTIONS"] in whole
    assert all(line in whole for text in sections(whole).values() for line in text.split("\n"))
