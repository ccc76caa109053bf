"""Access control of HTTP endpoints: authentication by realm, and authorization by path."""

from greenproc.auth.access_control import AccessControl
from greenproc.auth.authenticator import Authenticator
from greenproc.auth.authenticators import Authenticators
from greenproc.auth.authorization import Authorization, AuthorizationCallback
from greenproc.auth.basic import BasicAuthenticator
from greenproc.auth.combined import CombinedAuthenticator
from greenproc.auth.jwt import JWT
from greenproc.auth.jwt_authenticator import JWTAuthenticator
from greenproc.auth.principal import AuthenticationResult, Principal
from greenproc.auth.signing import parse_rsa_key

__all__ = [
    "JWT",
    "AccessControl",
    "AuthenticationResult",
    "Authenticator",
    "Authenticators",
    "Authorization",
    "AuthorizationCallback",
    "BasicAuthenticator",
    "CombinedAuthenticator",
    "JWTAuthenticator",
    "Principal",
    "parse_rsa_key",
]
