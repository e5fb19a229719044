"""server.py with passwords that cost little to hash, which most tests are not about, and with a look at the clock and at the
database's file more often than others need, so that a test does not wait for it.

`program.py FOLDER ARGUMENT…` runs it as if it lay in that folder.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ipin_proxy import signin, start
from ipin_proxy.web import server


def run(arguments: list[str], folder: Path) -> int:
    gc.disable()  # until it listens, as server.py does
    signin.NOBODY = signin.NOBODY.replace("${}${}${}$".format(*signin.SCRYPT_COST), "$16$8$1$")
    signin.SCRYPT_COST = (16, 8, 1)
    server.TICK_S = 0.05
    start.HOUSEKEEPING_S = 0.2
    return start.main(arguments, folder)


if __name__ == "__main__":
    sys.exit(run(sys.argv[2:], Path(sys.argv[1])))
