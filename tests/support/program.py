"""server.py with passwords that cost little to hash: most tests sign in to be about something else.

`program.py FOLDER ARGUMENT…` runs it as if it lay in that folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ipin_proxy import signin
from ipin_proxy.start import main


def run(arguments: list[str], folder: Path) -> int:
    signin.NOBODY = signin.NOBODY.replace("${}${}${}$".format(*signin.SCRYPT_COST), "$16$8$1$")
    signin.SCRYPT_COST = (16, 8, 1)
    return main(arguments, folder)


if __name__ == "__main__":
    sys.exit(run(sys.argv[2:], Path(sys.argv[1])))
