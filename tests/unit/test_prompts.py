"""What an alias does to a system prompt, in the three shapes of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy import prompts
from ipin_proxy.prompts import for_chat, for_messages, for_responses, sections
from ipin_proxy.records import SystemPrompt
from ipin_proxy.web import members

CACHED = {"type": "ephemeral"}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"}
OLDER = """You are a coding agent.

Here is useful information about the environment you are running in:
<env>
Working directory: /srv/project
Platform: linux
</env>
You are powered by the model named Sonnet. The exact model ID is sonnet-1.

Assistant knowledge cutoff is January 2026.

# MCP Server Instructions

The following MCP servers have provided instructions.

## tracker
Look first.
```sh
# not a heading
```

# Tone
Be brief."""
SAID = "You are powered by the model named Sonnet."
NEWER = """Intro.

# Environment
You have been invoked in the following environment: \n - Platform: linux
 - You are powered by the model named Opus. The exact model ID is opus-1.
 - Assistant knowledge cutoff is May 2025.
 - OS Version: Linux 6

## Git
gitStatus: clean

# Doing tasks
Do them."""


def prompt(template: str = "OURS", mode: str = "prepend") -> SystemPrompt:
    return SystemPrompt(template=template, mode=mode)


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


# The placeholders.


def test_the_sections_of_an_older_agent() -> None:
    assert sections(OLDER) == {
        "ENV_INFO": "<env>\nWorking directory: /srv/project\nPlatform: linux\n</env>",
        "MODEL_INFO": "You are powered by the model named Sonnet. The exact model ID is sonnet-1.\n"
        "Assistant knowledge cutoff is January 2026.",
        "MCP_INSTRUCTIONS": "# MCP Server Instructions\n\nThe following MCP servers have provided instructions.\n\n"
        "## tracker\nLook first.\n```sh\n# not a heading\n```",
    }


def test_the_sections_of_a_newer_one_where_the_environment_is_without_the_model() -> None:
    found = sections(NEWER)
    assert found["ENV_INFO"].startswith("# Environment\nYou have been invoked")
    assert found["ENV_INFO"].endswith(" - Platform: linux\n - OS Version: Linux 6\n\n## Git\ngitStatus: clean")
    assert (
        found["MODEL_INFO"].split("\n")[0] == "You are powered by the model named Opus. The exact model ID is opus-1."
    )
    assert found["MCP_INSTRUCTIONS"] == ""


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "nothing of it",
        "<env>\nwithout an end",
        "</env> then <env>",
        "Environment",
        "#Environment\nx",
        "```\n# Environment\nx",
    ],
)
def test_what_is_not_there_is_empty(odd: str) -> None:
    assert set(sections(odd).values()) == {""}


def test_a_template_is_filled_once_and_other_braces_stay() -> None:
    ours = prompt("{{MODEL_INFO}}|{{OTHER}}|{ENV_INFO}|{{env_info}}|{{MCP_INSTRUCTIONS}}.", "replace")
    theirs = "# Environment\n\nYou are powered by {{MCP_INSTRUCTIONS}} and {{ENV_INFO}}."
    found = for_responses({"instructions": theirs}, ours)["instructions"]
    assert found == "You are powered by {{MCP_INSTRUCTIONS}} and {{ENV_INFO}}.|{{OTHER}}|{ENV_INFO}|{{env_info}}|."


def test_a_long_prompt_of_openings_is_read_in_no_time() -> None:
    assert sections("<env>" * 200_000 + "\n# MCP Instructions" * 50_000)["ENV_INFO"] == ""


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_so_is_one_of_blanks(blank: str) -> None:
    """Each line took a time that grew with the square of its length, in which nobody else was answered."""
    blanks = blank * 1_000_000
    assert set(sections(f"# a{blanks}b").values()) == {""}
    assert sections(f"knowledge cutoff{blanks}never")["MODEL_INFO"] == f"knowledge cutoff{blanks}never"
    assert set(sections(blanks * 10 + "-" + blanks * 10).values()) == {""}


def test_only_the_bullet_at_the_head_of_a_line_is_left_out() -> None:
    found = sections(" - You are powered by the model named Opus - fast.\nKnowledge cutoff: May * 2026 -  or later")
    assert (
        found["MODEL_INFO"]
        == "You are powered by the model named Opus - fast.\nKnowledge cutoff: May * 2026 -  or later"
    )


def test_a_heading_may_have_blanks_and_marks_behind_it() -> None:
    assert sections("## MCP Instructions: \t##\t\nLook.\n#\tNext")["MCP_INSTRUCTIONS"].endswith("Look.")


# Chat.


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("replace", "OURS"), ("prepend", "OURS\n\ntheirs"), ("append", "theirs\n\nOURS")],
)
def test_of_a_chat_the_first_system_message_changes(mode: str, expected: str) -> None:
    user = {"role": "user", "content": "hi"}
    for role in ("system", "developer"):
        body = {"messages": [{"role": role, "content": "theirs", "name": "n"}, user]}
        before = json.dumps(body)
        assert for_chat(body, prompt(mode=mode)) == {
            "messages": [{"role": role, "content": expected, "name": "n"}, user]
        }
        assert json.dumps(body) == before
    assert for_chat({"messages": [user]}, prompt(mode=mode)) == {
        "messages": [{"role": "system", "content": "OURS"}, user]
    }


def test_of_several_system_messages_those_at_the_head_are_the_prompt() -> None:
    head = [{"role": "system", "content": "a"}, {"role": "developer", "content": [text("b", cache_control=CACHED)]}]
    rest = [{"role": "user", "content": "hi"}, {"role": "system", "content": "later"}]
    body = {"messages": [*head, *rest]}
    assert for_chat(body, prompt(mode="prepend"))["messages"] == [
        {"role": "system", "content": "OURS\n\na"},
        head[1],
        *rest,
    ]
    appended = {"role": "developer", "content": [text("b", cache_control=CACHED), text("OURS")]}
    assert for_chat(body, prompt(mode="append"))["messages"] == [head[0], appended, *rest]
    replaced = {"role": "system", "content": [text("OURS", cache_control=CACHED)]}
    assert for_chat(body, prompt(mode="replace"))["messages"] == [replaced, *rest]
    assert for_chat(body, prompt("", "replace"))["messages"] == rest
    assert for_chat(body, prompt(" \n", "append")) == {}


@pytest.mark.parametrize("messages", [None, "text", 3, {}])
def test_a_chat_of_no_known_shape_is_left_alone(messages: Any) -> None:
    assert for_chat({"messages": messages}, prompt()) == {}


def test_odd_messages_go_on_as_they_are() -> None:
    odd = [None, {"role": "system"}, 3]
    assert for_chat({"messages": odd}, prompt())["messages"] == [{"role": "system", "content": "OURS"}, *odd]
    body = {"messages": [{"role": "system", "content": None}, {"role": "system", "content": [3, {"text": 4}]}]}
    assert for_chat(body, prompt(mode="append"))["messages"][1]["content"] == [3, {"text": 4}, text("OURS")]
    assert for_chat(body, prompt(mode="replace"))["messages"] == [{"role": "system", "content": "OURS"}]


# Messages.


def test_of_messages_a_system_text_stays_a_text() -> None:
    for mode, expected in (("replace", "OURS"), ("prepend", "OURS\n\ntheirs"), ("append", "theirs\n\nOURS")):
        assert for_messages({"system": "theirs"}, prompt(mode=mode)) == {"system": expected}
        assert for_messages({}, prompt(mode=mode)) == {"system": "OURS"}
        assert for_messages({"system": []}, prompt(mode=mode)) == {"system": "OURS"}
        assert for_messages({}, prompt("{{ENV_INFO}}", mode)) == {}
    for mode in ("prepend", "append"):
        assert for_messages({"system": "theirs"}, prompt("{{ENV_INFO}}", mode)) == {}
        assert for_messages({"system": [text("theirs")]}, prompt("{{ENV_INFO}}", mode)) == {}


def test_of_messages_blocks_stay_blocks_and_marks_of_the_cache_are_kept() -> None:
    theirs = [text("a", cache_control=CACHED), text("b", cache_control={"type": "ephemeral", "ttl": "1h"})]
    body = {"system": [BILLING, *theirs]}
    assert for_messages(body, prompt(mode="prepend"))["system"] == [BILLING, text("OURS"), *theirs]
    assert for_messages(body, prompt(mode="append"))["system"] == [BILLING, *theirs, text("OURS")]
    assert for_messages(body, prompt(mode="replace"))["system"] == [
        BILLING,
        text("OURS", cache_control=theirs[1]["cache_control"]),
    ]
    assert for_messages({"system": theirs[:1]}, prompt("", "replace"))["system"] == []
    said_later = for_messages({"system": [theirs[0], BILLING]}, prompt(mode="replace"))["system"]
    assert said_later == [text("OURS", cache_control=CACHED)], "of the prompt, only what comes first is none"


def test_of_messages_the_placeholders_are_filled_from_all_blocks() -> None:
    body = {"system": [BILLING, text("Intro."), text(NEWER), text("# MCP Server Instructions\nLook.")]}
    found = for_messages(body, prompt("{{MODEL_INFO}}\n--\n{{MCP_INSTRUCTIONS}}", "replace"))["system"][1]["text"]
    assert found.startswith("You are powered by the model named Opus") and found.endswith(
        "--\n# MCP Server Instructions\nLook."
    )


# Responses.


def test_of_responses_the_instructions_change() -> None:
    for mode, expected in (("replace", "OURS"), ("prepend", "OURS\n\ntheirs"), ("append", "theirs\n\nOURS")):
        assert for_responses({"instructions": "theirs", "input": []}, prompt(mode=mode)) == {"instructions": expected}
        assert for_responses({"input": "x"}, prompt(mode=mode)) == {"instructions": "OURS"}
        assert for_responses({"instructions": None}, prompt(mode=mode)) == {"instructions": "OURS"}
    assert for_responses({"instructions": "theirs"}, prompt("", "replace")) == {"instructions": ""}
    assert for_responses({}, prompt("", "replace")) == {}
    for mode in ("prepend", "append"):
        assert for_responses({"instructions": "theirs"}, prompt("{{ENV_INFO}}", mode)) == {}


def test_where_a_response_has_no_instructions_its_prompt_is_what_input_begins_with() -> None:
    parts = [{"type": "input_text", "text": SAID}]
    first, last = {"role": "system", "content": "A"}, {"type": "message", "role": "developer", "content": parts}
    others = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "late"}]
    body = {"input": [first, last, *others]}
    ours = prompt("OURS {{MODEL_INFO}}", "replace")
    assert for_responses(body, ours) == {"instructions": f"OURS {SAID}", "input": others}
    assert for_responses(body, prompt("", "replace")) == {"input": others}
    assert for_responses(body, prompt()) == {"instructions": "OURS"}
    behind = {**last, "content": [*parts, {"type": "input_text", "text": "OURS"}]}
    assert for_responses(body, prompt(mode="append")) == {"input": [first, behind, *others]}
    assert for_responses({"input": [first, *others]}, prompt(mode="append")) == {
        "input": [{"role": "system", "content": "A\n\nOURS"}, *others]
    }
    for same in ({**body, "instructions": "theirs"}, {**body, "previous_response_id": "r"}, {"input": [first, last]}):
        for mode in ("append", "replace"):
            assert for_responses(same, prompt(mode=mode)).keys() == {"instructions"}, same


# In a body.


def test_only_the_one_member_is_written_anew_or_added() -> None:
    body = members.parse(b'{ "model":"m",  "instructions" : "theirs","x":1.00 }')
    prompts.put(body, prompt(), for_responses)
    assert body.with_values({"model": "n"}) == b'{ "model":"n",  "instructions" : "OURS\\n\\ntheirs","x":1.00 }'
    assert body.full()["instructions"] == "OURS\n\ntheirs"
    without = members.parse(b'{"model":"m","x":1.00}')
    prompts.put(without, prompt(), for_responses)
    assert without.with_values({}) == b'{"model":"m","x":1.00,"instructions":"OURS"}'
    assert without.with_values({"model": "n", "y": 2}) == b'{"model":"n","x":1.00,"instructions":"OURS","y":2}'
    assert without.full() == {"model": "m", "x": 1.0, "instructions": "OURS"}
    assert without.with_values({"instructions": members.REMOVE}) == b'{"model":"m","x":1.00}'


def test_a_very_long_prompt_is_read_and_sent_whole() -> None:
    long = "word " * 60_000
    theirs = f"{long}\n# MCP Server Instructions\n{'x' * 20_000} the end\n# Next\n{long}"
    raw = json.dumps({"messages": [{"role": "system", "content": theirs}, {"role": "user", "content": long}]}).encode()
    body = members.parse(raw)
    assert body.hollow
    prompts.put(body, prompt("{{MCP_INSTRUCTIONS}}", "append"), for_chat)
    found = json.loads(body.with_values({}))["messages"]
    assert found[0]["content"] == f"{theirs}\n\n# MCP Server Instructions\n{'x' * 20_000} the end"
    assert found[1]["content"] == long
