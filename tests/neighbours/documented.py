"""The lines of configuration that docs/neighbours.md shows, so that what is tried is what is documented."""

import re

from tests.neighbours.scene import ROOT


def lines(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs/neighbours.md").read_text(), re.M | re.S)
    return block
