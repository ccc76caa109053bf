"""Takes protobuf messages in another OS process: ``greenproc run registrar:Registrar``."""

from __future__ import annotations

from typing import Any

from greenproc import UPID, Process, install
from tests.protobuf_classes import Register


class Registrar(Process):
    """Answers what registers with the same, one port further."""

    def __init__(self) -> None:
        super().__init__("registrar")

    @install(Register, returns=Register)
    def on_register(self, sender: UPID, register: Any) -> Any:
        register.port += 1
        return register
