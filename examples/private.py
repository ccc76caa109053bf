"""Endpoints that not everybody may use: who is known by a password, and who may do what.

Run it; a node is asked in the name of several people, and prints what they are answered::

    python examples/private.py
"""

from base64 import b64encode

import greenproc
from greenproc import Process, current_runtime, route
from greenproc.auth import BasicAuthenticator, Principal
from greenproc.http import Request
from greenproc.web import get


class Vault(Process):
    """Keeps gold; only who is known may see it, and only Ada may take some."""

    def __init__(self) -> None:
        super().__init__("vault")
        self.gold = 3

    # In a realm, the handler is also told who asks.
    @route("/gold", realm="vault")
    def on_gold(self, request: Request, principal: Principal | None) -> str:
        return f"{principal} sees {self.gold}"

    @route("/take", realm="vault")
    def on_take(self, request: Request, principal: Principal | None) -> str:
        self.gold -= 1
        return f"{principal} leaves {self.gold}"


def is_owner(request: Request, principal: Principal | None) -> bool:
    """Tell whether *principal*, who has been authenticated, may do what *request* asks for."""
    return principal == "ada"


def ask(path: str, user: str = "", password: str = "") -> str:
    """Return what the vault answers to that user."""
    credentials = b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if user else {}
    response = get(f"http://{greenproc.address()}/vault/{path}", headers).get()
    return f"{response.status} {response.body.decode()}"


def main() -> None:
    """Ask for the gold without a name, with a wrong password, as a guest, and as the owner."""
    greenproc.spawn(Vault())
    passwords = {"ada": "lovelace", "guest": "welcome"}
    runtime = current_runtime()
    runtime.set_authenticator("vault", BasicAuthenticator("vault", passwords))
    runtime.authorization.set_callbacks({"/vault/take": is_owner})

    print("nobody:", ask("gold"))
    print("guesser:", ask("gold", "ada", "12345"))
    print("guest:", ask("gold", "guest", "welcome"))
    print("guest:", ask("take", "guest", "welcome"))
    print("owner:", ask("take", "ada", "lovelace"))

    greenproc.finalize()


if __name__ == "__main__":
    main()
