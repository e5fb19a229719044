"""`GET /`: what this is, whether it is set up, and where the API is. Plain HTML that runs and loads nothing."""

from __future__ import annotations

import html

from .. import __version__
from ..addresses import came_over_https
from ..app import App, Visit
from ..deployments import DEMO_MODEL
from ..web.response import Response

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>iPin Proxy</title>
</head>
<body>
<main>
<h1>iPin Proxy</h1>
<p>Every AI provider behind one OpenAI-compatible API. It is running; version {version}.</p>
<h2>Is it set up?</h2>
<p>{state}</p>
<h2>The API</h2>
<p>Base URL: <code>{base}/v1</code></p>
<p>A first call. The key is one that an administrator made, or the master key that the first start has printed:</p>
<pre>curl {base}/v1/chat/completions \\
  -H "Authorization: Bearer YOUR-KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'</pre>
<p>What a key may use: <code>GET {base}/v1/models</code></p>
</main>
</body>
</html>
"""
NOT_YET = """Not yet, or not fully. The built-in model <code>demo</code> answers until a provider and a model are added. To add them, sign
in for a token and use it as the bearer:</p>
<pre>curl {base}/api/admin/login -d '{{"username": "admin", "password": "YOUR-PASSWORD"}}'
curl {base}/api/admin/providers -H "Authorization: Bearer TOKEN" \\
  -d '{{"id": "my-provider", "baseUrl": "https://provider.example/v1", "apiKey": "PROVIDER-KEY"}}'
curl {base}/api/admin/models -H "Authorization: Bearer TOKEN" \\
  -d '{{"id": "my-model", "providerId": "my-provider"}}'</pre>
<p>After that the demo is gone."""
FOUND = """A provider's key was found in the environment, so its models can be called already, by the provider's name and
theirs: <code>provider/model</code>. """
SET_UP = "Yes."


def start(app: App, visit: Visit) -> Response:
    """The same for everybody: which models there are is told to keys alone."""
    host = visit.request.headers.get("host") or "localhost"
    base = html.escape(
        f"{'https' if came_over_https(visit.request, app.config.settings.trusted_proxies) else 'http'}://{host}"
    )
    is_demo = DEMO_MODEL.id in app.catalog().models and DEMO_MODEL.id not in app.store.snapshot().models
    found = FOUND if app.catalog().offered else ""
    page = PAGE.format(
        version=__version__,
        base=base,
        state=found + NOT_YET.format(base=base) if is_demo else SET_UP,
        model=DEMO_MODEL.id if is_demo else "YOUR-MODEL",
    )
    return Response(200, HEADERS, page.encode())
