"""``python -m bntt``: the command line, also for launchers such as ``torchrun -m bntt``."""

import sys

from .commands.main import main

sys.exit(main())
