"""Who may use which HTTP endpoint: authentication and authorization."""

from greenproc.auth.authenticator import Authenticator
from greenproc.auth.authenticators import Authenticators
from greenproc.auth.authorization import Authorization, AuthorizationCallback
from greenproc.auth.basic import BasicAuthenticator
from greenproc.auth.combined import CombinedAuthenticator
from greenproc.auth.gate import Gate
from greenproc.auth.jwt import JWT
from greenproc.auth.jwt_authenticator import JWTAuthenticator
from greenproc.auth.principal import AuthenticationResult, Principal
from greenproc.auth.signing import parse_rsa_key

__all__ = [
    "JWT",
    "AuthenticationResult",
    "Authenticator",
    "Authenticators",
    "Authorization",
    "AuthorizationCallback",
    "BasicAuthenticator",
    "CombinedAuthenticator",
    "Gate",
    "JWTAuthenticator",
    "Principal",
    "parse_rsa_key",
]
