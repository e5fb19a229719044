"""server.py with passwords that cost little to hash: most tests sign in to be about something else.

It may stand here, or in the place of server.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE if (HERE / "ipin_proxy").exists() else HERE.parents[1]
sys.path.insert(0, str(ROOT))

from ipin_proxy import signin  # noqa: E402
from ipin_proxy.start import main  # noqa: E402

if __name__ == "__main__":
    signin.NOBODY = signin.NOBODY.replace("${}${}${}$".format(*signin.SCRYPT_COST), "$16$8$1$")
    signin.SCRYPT_COST = (16, 8, 1)
    sys.exit(main(sys.argv[1:], ROOT))
