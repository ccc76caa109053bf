"""``python -m greenproc``: the same as the command ``greenproc``."""

import sys

from greenproc.cli.main import main

sys.exit(main())
