"""iPin Proxy: every AI provider behind one OpenAI-compatible API. `python3 server.py`, nothing to install."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path

if sys.version_info < (3, 10):
    sys.exit(f"iPin Proxy needs Python 3.10 or newer; this is {sys.version.split()[0]}.")

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it listens: Ctrl-C ends it without a trace
gc.disable()  # until it listens: what is loaded stays, and looking for the little that does not takes a tenth of a start

from ipin_proxy.start import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent))
