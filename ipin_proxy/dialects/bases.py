"""What people write as a provider's base URL → where its API is.

Most APIs are behind a version, which many leave out of the address; so one that is missing is added, `/v1`. Where none is to be
added, the address of an endpoint says so.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from ..connections import Origin

VERSION_SEGMENT = re.compile(r"v[0-9]+[a-z0-9]*")
# What somebody may have copied from a manual: it says exactly where the API is, which has no version everywhere.
ENDPOINT = re.compile(
    r"/(?:(?:chat/)?completions|embeddings|responses|messages|rerank|moderations|images/generations"
    r"|audio/(?:speech|transcriptions))$"
)
# Hosts whose paths carry no version although they have a path; everywhere else a missing /v1 is added.
UNVERSIONED = re.compile(r"/(?:inference|models|deployments/[^/]+)$")


@lru_cache(maxsize=1024)
def split_base(base_url: str, ca_file: str, verify: bool) -> tuple[Origin, str, str]:
    """A base URL as origin, path with a version, and query. It may end in a slash, in `/v1`, or in an endpoint."""
    parts = urlsplit(base_url.strip())
    scheme = parts.scheme.lower()
    given = parts.path.rstrip("/")
    path = ENDPOINT.sub("", given).rstrip("/")
    if any(VERSION_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        path = path.removesuffix("/models")  # which is an endpoint, too, but begins the paths of Azure's
    elif path == given and UNVERSIONED.search(path) is None:
        path += "/v1"
    port = parts.port or (443 if scheme == "https" else 80)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")  # as it goes into the Host header
    return Origin(scheme, host, port, ca_file, verify), path, parts.query
