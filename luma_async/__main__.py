"""``python -m luma_async`` is ``luma-async``."""

from __future__ import annotations

import sys

from luma_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
