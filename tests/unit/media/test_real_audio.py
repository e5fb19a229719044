"""Audio that programs made, in every way they write it: four seconds of speech are four seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import sounds

from ipin_proxy.media.audio import EXTENSIONS, Audio, inspect

FORMATS = {"mp2": "mp3", "m4a": "mp4", "opus": "ogg", "mkv": "webm"}
# What encoders add stays in the count where the container does not tell how much it is: of mp3 two frames, at 8 kHz 0.14 s.
TOLERANCES = {"mp3-plain": 0.06, "mp3-plain-vbr": 0.06, "mp3-mpeg2.5": 0.2}
TOLERANCE = 0.03


def look(name: str) -> Audio | None:
    path = sounds.real(name)
    with path.open("rb") as file:
        return inspect(file, path.stat().st_size)


@pytest.mark.parametrize("name", sounds.RECIPES)
def test_real_audio_is_known_and_measured(name: str):
    audio = look(name)
    assert audio is not None
    kind = name.split("-")[0]
    assert audio.format == FORMATS.get(kind, kind)
    assert audio.seconds == pytest.approx(sounds.SECONDS, abs=TOLERANCES.get(name, TOLERANCE))


@pytest.mark.parametrize("name", ["wav", "mp3-plain", "opus", "flac-piped", "mp4-piped", "webm-live"])
def test_half_of_a_real_recording_is_about_half_as_long(name: str):
    """Where the length is not told at the beginning: an upload that was cut is measured, not believed."""
    path = sounds.real(name)
    with path.open("rb") as file:
        audio = inspect(file, path.stat().st_size // 2)
    assert audio is not None
    assert audio.seconds == pytest.approx(sounds.SECONDS / 2, abs=1.1)


@pytest.mark.parametrize("name", ["mp3", "mp3-plain", "ogg", "opus"])
def test_real_recordings_may_be_joined(name: str, tmp_path):
    path = tmp_path / "joined"
    path.write_bytes(sounds.real(name).read_bytes() * 3)
    with path.open("rb") as file:
        audio = inspect(file, path.stat().st_size)
    assert audio is not None
    assert audio.seconds == pytest.approx(3 * sounds.SECONDS, abs=0.2)


def test_the_usual_names_of_real_files_are_known():
    suffixes = {Path(filename).suffix[1:] for filename, _ in sounds.RECIPES.values()}
    assert suffixes - {"mka"} == {"wav", "mp3", "ogg", "opus", "flac", "m4a", "mp4", "webm"}
    assert suffixes - {"mka"} <= EXTENSIONS
