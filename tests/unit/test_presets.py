"""The table of well-known providers: each line makes a provider that can be saved, and tells what a person needs."""

from __future__ import annotations

import pytest

from ipin_proxy.offers import offered
from ipin_proxy.presets import PRESETS, Preset
from ipin_proxy.pricelist import read
from ipin_proxy.records import Provider, check_new


@pytest.mark.parametrize("preset", PRESETS[:-1], ids=lambda preset: preset.id)
def test_a_preset_makes_a_provider(preset: Preset) -> None:
    base_url = preset.base_url.replace("{resource}", "mine")
    key = None if preset.local else "a-key-0123456789"
    made = {"id": preset.id, "name": preset.name, "baseUrl": base_url, "type": preset.type, "auth": preset.auth}
    record = Provider.from_json({**made, "apiKey": key})
    check_new(record)
    assert record.auth == preset.auth
    shown = preset.to_json()
    assert shown["owner"] and shown["keyHint"]
    assert shown["host"] and shown["host"] in preset.base_url
    assert (preset.auth == "none") == preset.local
    assert base_url.startswith("http://localhost:" if preset.local else "https://")
    assert preset.local or (preset.key_url or "").startswith("https://")


def test_the_last_one_is_any_other_server() -> None:
    assert (PRESETS[-1].id, PRESETS[-1].base_url, PRESETS[-1].to_json()["host"]) == ("custom", "", "")
    assert len({preset.id for preset in PRESETS}) == len(PRESETS)


def test_a_key_in_the_environment_offers_its_provider_and_is_not_copied() -> None:
    assert offered({}) == offered({"OPENAI_API_KEY": "", "GROQ_API_KEY": " "}) == {}
    found = offered({"OPENROUTER_API_KEY": "sk-or-0123456789", "HOME": "/"})
    assert list(found) == ["openrouter"]
    assert found["openrouter"].api_key == "env:OPENROUTER_API_KEY"


def test_the_models_of_a_map_are_known_and_an_offer_has_it_where_names_are_passed_on() -> None:
    table = read()
    mapped = [each for each in PRESETS if each.model_map]
    assert {each.id for each in mapped} >= {"anthropic", "openrouter", "openai", "deepseek", "groq"}
    for each in mapped:
        record = Provider.from_json({**each.to_json(), "apiKey": "a-key-0123456789"})
        assert record.model_map == each.model_map
        for name in each.model_map.values():
            assert table.find(record, name) is not None, f"{each.id}: {name}"
    found = offered({each.variable: "a-key-0123456789" for each in PRESETS if each.variable})
    assert found["openrouter"].model_map["haiku"].startswith("anthropic/")
    assert dict(found["anthropic"].model_map) == {}
