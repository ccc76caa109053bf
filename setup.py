"""Build script; what setup.cfg cannot say is here: the chat comes along, for ``greenproc demo``."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CHAT = Path("examples", "chat")
PLACE = Path("greenproc", "cli", "examples", "chat")


class BuildWithChat(build_py):
    """Puts the chat of the examples where ``greenproc.cli.chat`` finds it."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / PLACE
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHAT, target, ignore=ignored, dirs_exist_ok=True)

    def get_source_files(self) -> list[str]:
        """Return what belongs into a source distribution."""
        chat = [str(path) for path in sorted(CHAT.rglob("*.*")) if path.suffix != ".pyc"]
        return [*super().get_source_files(), *chat]


setup(cmdclass={"build_py": BuildWithChat})
