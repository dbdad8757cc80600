"""Runs the tests of the neighbours, or those whose names contain one of the arguments.

    python3 -B -m tests.neighbours.run [NAME…]

GATEWAY_BIN is the gateway's binary. Programs that are missing are installed (Debian, Ubuntu).
"""

import shutil
import subprocess
import sys
import unittest

from tests.neighbours.scene import PATH, ROOT

PROGRAMS = {"nginx": "nginx", "haproxy": "haproxy", "varnishd": "varnish"}


def main() -> int:
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=PATH)]
    if missing:
        subprocess.run([ROOT / "scripts/install.sh", *missing], check=True)
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]] or None
    suite = loader.discover(str(ROOT / "tests/neighbours"), top_level_dir=str(ROOT))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
