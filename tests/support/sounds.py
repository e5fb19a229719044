"""Real audio: a spoken sentence of exactly four seconds, in every container and the ways programs write them.

`real("mp3")` is the path of such a file, made with espeak-ng, sox and ffmpeg when one is first asked for and kept for the
run; where those programs are missing, the test that asks is skipped. A test that must not be skipped where everything is
meant to run has `real_audio` in its name or in that of its file (see `required.py`).
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

SECONDS = 4.0
PROGRAMS = ("espeak-ng", "sox", "ffmpeg")
SENTENCE = "The quick brown fox jumps over the lazy dog, and then it takes a rest in the sun."

# By name: the name of the file and what ffmpeg is told. A "-" at the end is a pipe: the program cannot go back and
# write lengths where they belong, as when a recording is streamed.
RECIPES: dict[str, tuple[str, str]] = {
    "wav": ("speech.wav", "-c:a pcm_s16le"),
    "wav-extensible": ("extensible.wav", "-c:a pcm_s24le -ac 6"),
    "wav-float": ("float.wav", "-c:a pcm_f32le"),
    "wav-adpcm": ("adpcm.wav", "-c:a adpcm_ms"),
    "wav-rf64": ("rf64.wav", "-c:a pcm_s16le -rf64 always"),
    "wav-piped": ("piped.wav", "-c:a pcm_s16le -f wav -"),
    "mp3": ("speech.mp3", "-c:a libmp3lame -b:a 96k"),
    "mp3-vbr": ("vbr.mp3", "-c:a libmp3lame -q:a 4"),
    "mp3-plain": ("plain.mp3", "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0"),
    "mp3-plain-vbr": ("plain-vbr.mp3", "-c:a libmp3lame -q:a 4 -write_xing 0"),
    "mp3-mpeg2": ("mpeg2.mp3", "-c:a libmp3lame -ar 22050 -b:a 48k -write_id3v1 1 -metadata title=Fox"),
    "mp3-mpeg2.5": ("mpeg25.mp3", "-c:a libmp3lame -ar 8000 -b:a 16k -write_xing 0"),
    "mp2": ("layer2.mp3", "-c:a mp2 -b:a 128k -f mp2"),
    "ogg": ("speech.ogg", "-c:a libvorbis"),
    "opus": ("speech.opus", "-c:a libopus -b:a 32k"),
    "ogg-opus": ("opus.ogg", "-c:a libopus -b:a 24k -frame_duration 60"),
    "ogg-flac": ("flac.ogg", "-c:a flac"),
    "ogg-speex": ("speex.ogg", "-c:a libspeex -ar 16000"),
    "flac": ("speech.flac", "-c:a flac"),
    "flac-piped": ("piped.flac", "-c:a flac -f flac -"),
    "m4a": ("speech.m4a", "-c:a aac"),
    "m4a-faststart": ("faststart.m4a", "-c:a aac -movflags +faststart"),
    "mp4": ("film.mp4", "-f lavfi -i color=s=64x64:r=5:d=4 -c:v mpeg4 -c:a aac"),
    "mp4-fragmented": ("fragmented.mp4", "-c:a aac -movflags +empty_moov+default_base_moof -frag_duration 500000"),
    "mp4-half-fragmented": ("half.mp4", "-c:a aac -movflags +frag_keyframe -frag_duration 500000"),
    "mp4-piped": ("piped.mp4", "-c:a aac -movflags +empty_moov -frag_duration 500000 -f mp4 -"),
    "mp4-dash": ("dash.mp4", "-c:a aac -movflags +dash+global_sidx -frag_duration 500000 -f mp4"),
    "webm": ("speech.webm", "-c:a libopus -b:a 32k"),
    "webm-vorbis": ("vorbis.webm", "-c:a libvorbis"),
    "webm-film": ("film.webm", "-f lavfi -i color=s=64x64:r=5:d=4 -c:v libvpx -c:a libopus"),
    "webm-live": ("live.webm", "-c:a libopus -b:a 32k -f webm -live 1 -"),
    "webm-piped": ("piped.webm", "-c:a libopus -b:a 32k -f webm -"),
    "mkv": ("speech.mka", "-c:a flac -f matroska"),
}


@cache
def real(name: str) -> Path:
    """The file of this name in RECIPES; its suffix is the usual one of its format."""
    filename, words = RECIPES[name]
    target = _folder() / filename
    if words.endswith(" -"):
        target.write_bytes(_encode(words.split()))
    elif " -i " in words:
        _encode([*words.split(), str(target)])
    else:
        _encode_the_others()
    return target


@cache
def _encode_the_others() -> None:
    """All that need neither a pipe nor a picture, at once: a start of ffmpeg takes longer than any of them."""
    plain = [(name, words) for name, words in RECIPES.values() if not words.endswith(" -") and " -i " not in words]
    _encode([word for name, words in plain for word in (*words.split(), str(_folder() / name))])


def _encode(words: list[str]) -> bytes:
    return _run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-i", str(speech()), *words])


@cache
def speech() -> Path:
    """The sentence as WAV, one channel, 44.1 kHz, `SECONDS` long to the sample. Skips the test when a program is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"Real audio needs {', '.join(missing)}.")
    spoken, target = _folder() / "spoken.wav", _folder() / "sentence.wav"
    _run(["espeak-ng", "-w", str(spoken), SENTENCE])
    form, effects = ["-b", "16", "-r", "44100", "-c", "1"], f"pad 0 {SECONDS} trim 0 {SECONDS}".split()
    _run(["sox", "-D", str(spoken), *form, str(target), *effects])
    return target


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="ipin-sounds-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _run(command: list[str]) -> bytes:
    """What the program writes to its standard output. Its failure is the test's."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode(errors='replace')}"
    return done.stdout
