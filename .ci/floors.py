"""Prints the lowest versions that pyproject.toml allows at run time, as a constraints file for pip."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["cli"]]:
    print(requirement.replace(">=", "=="))
