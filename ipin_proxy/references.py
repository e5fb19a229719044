"""Where the secrets of providers are when they are not in the database: `env:NAME` and `file:PATH`, read when they are used.

A file is one line of text under SECRETS_DIR, which no link leads out of, and none that holds a setting of ours. What cannot
be read is None: the caller says which provider lacks its key, and nobody learns a path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .columns import CONTROL, may_read_variable
from .config import FILE_VARIABLES

MAX_SECRET_BYTES = 65_536  # a key file is one line; anything larger was not meant


def resolve_secret(reference: str, environ: Mapping[str, str], secrets_dir: str | os.PathLike[str]) -> str | None:
    """The secret behind `env:NAME` or `file:PATH`, read now; a plain value is returned as it is.

    A file must lie under `secrets_dir` once every link is followed, and hold no setting of ours; a relative path starts
    there. None when there is nothing, when the reference is not allowed, or when what is found is not one line of text: the caller says which
    provider lacks its key, and nobody learns a path.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        found = environ.get(rest) if may_read_variable(rest) else None
    elif kind == "file":
        found = _secret_file(rest, secrets_dir, {environ[name] for name in FILE_VARIABLES if environ.get(name)})
    else:
        found = reference
    found = (found or "").strip()
    return found if found and not CONTROL.search(found) else None


def _secret_file(path: str, secrets_dir: str | os.PathLike[str], ours: set[str]) -> str | None:
    try:
        real = file_under(secrets_dir, path)
        if real is None or not os.path.isfile(real) or real in map(os.path.realpath, ours):  # reading a pipe would hang
            return None
        with open(real, "rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        return content.decode("utf-8-sig") if len(content) <= MAX_SECRET_BYTES else None
    except (OSError, ValueError):
        return None


def file_under(folder: str | os.PathLike[str], path: str) -> str | None:
    """Where a path leads once every link is followed, if that is under `folder`, where a relative one starts."""
    root = os.path.realpath(folder)
    real = os.path.realpath(os.path.join(root, path))
    return real if real.startswith(os.path.join(root, "")) else None
