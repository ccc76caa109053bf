"""RSA keys for tests only, and how to sign with what is not greenproc.

The keys and the token were made by the openssl command.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

PRIVATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDBuasfsACHXlEa
rR+fwqY2w8G4fcUVfs5621RgOynKnKXQSvwNu1taV6Ecx/KgAU/r3Ml42e6Kl6b+
un5/sFioDbSElYEZb9KT3/vwcB4Yod6Ww8U0nI0wJwpr4Hgf5lrVZFOCrCtQ1Hva
PrkDEA05J7dAkcpOJuw92Crw1I6pbTvPtRCbgjxlwvz7dRxn3Z4km76YP29Z/Gpl
ndjGSXVnmf2+hDR6tXA0Puq7lVaAr8CmOx4eZTzwwYnel3Ncsja2+bgz+5Idyv6y
gRZFQEZm6FijqpeIrlpJ2MFDrV2p9RCKjxQVAY8PM5Kw8N+DNbTMLHJ1UH+hyyj6
l6qtLSWDAgMBAAECggEAECrsLq1UJfgHocfQC1fF4m0s9jY85AHcvqEeZheZ8cho
CD2x0n2P7rbAgfPn+lWRs3gOMnFRuKxWagzrcMGpbIEUTzpg91v/QYsgbh0VTe34
czGsfCsSl3Gyq3Uk4ViqvQNt+spepRTOr1SrwScuS1ZWs2NXdHVIIxMu5kF/FIGd
lKN4BIbFEM+DEuQsGOBvQ3HJ7/y8gAfXhWFCMxpMXgcI5lDGH0LakcKdUofef3mD
wU46+3SKllsYbsTMbeJUHMniOoEt9abHnm/WlAdfqZWE2Nov3vxrfNfDM6gvoQHM
+Ei8NlcG/5F02bqrmT+N2aDDc/LJBYpIGlcw/dHVuQKBgQDpxXBfC1QGGmQLoHF1
zEh5LBUtue1Ub4jcTZRCHNACN6vt4j2MeEr7+lLxsRHnSJV9PjoT0fhczsOWy/uM
E9lJHROrKr3zP7wEvjwh6aNqJLMfBNQk7IyAuQUe2/XtMkwjIUGBEcGZs7Lg3RfA
4Ok6vc/e2g3mImFIMJBeIlCpKwKBgQDUJWm1hLkmAKSeEg6gi1D9YSHk0t5nW/v9
PtNidR+D+ZgJqnGmTKZTVySUYU3pXTfnTWtkIc7oGC2DZvzTzhzRpzECIsD1BRso
DAZgIfOCyvayYidE/YUT5VhHF6NwsUG5MkYt4w9n4oONtXKB+z6YMKQXQlHKCuzU
8RjP2nYZCQKBgDE/BJMhIcw/VwAUBpLYPBQ6syN03YhCDsTKGwdqZm9xJujwFiM3
XCSE8WA0+x6L7eH6b+Wo//cdH5ru0ckKjWWXmIMgd+98Z7FgGe7S9zfvD0TjkYVN
x7N+RpPfpokXZW6pHNGB2hT1BCPWr6BUQQ282sOJkBABAhlhEaii9fcNAoGAGrpv
/BexwBD6rJO31hBXbuULASp0LO+Q6xI8Tb5V7ynGNwmLchlcJ0nmaO9tgoZlIbZG
XoJH8EQDj/esyP7B8MQwz4UTbIttJXmGYBxG8uaheE4XhoCugJg3rBVVWUBr+GpW
HzfpW/xU+MiwmaHO/Bu8wNVxOpRvzFBoAOAUWwkCgYEApqi2v9DjxLGBecYFb9Vi
zlrj8GkNmlirNTASkkKyQjKXdzQdd9WasXZuB1yhziIq9WShgPeKDUMmwdiYvyF4
i7wsD2/19iJ6IO/slHlp0NII7Btt3U+fuCreXYVKCYIKECtmSq0l4rQ40uKBAHoZ
ogHQkzBDnVAGkqILWQiiRyg=
-----END PRIVATE KEY-----
"""

PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwbmrH7AAh15RGq0fn8Km
NsPBuH3FFX7OettUYDspypyl0Er8DbtbWlehHMfyoAFP69zJeNnuipem/rp+f7BY
qA20hJWBGW/Sk9/78HAeGKHelsPFNJyNMCcKa+B4H+Za1WRTgqwrUNR72j65AxAN
OSe3QJHKTibsPdgq8NSOqW07z7UQm4I8ZcL8+3UcZ92eJJu+mD9vWfxqZZ3Yxkl1
Z5n9voQ0erVwND7qu5VWgK/ApjseHmU88MGJ3pdzXLI2tvm4M/uSHcr+soEWRUBG
ZuhYo6qXiK5aSdjBQ61dqfUQio8UFQGPDzOSsPDfgzW0zCxydVB/ocso+peqrS0l
gwIDAQAB
-----END PUBLIC KEY-----
"""

UNRELATED_PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAygCkR9a+n76OVSgZJPHM
ZkVYaIrzCsNjxjwYjHMaifjUgBzSNLcpx7mPNHnD7SI/Ks0T4l9darV5syVWHian
On2LV+FPRb5u+MgMoLpZDSraKmRkD+tfFaVvm76M8AdvqrZt5YtIp7H5co2Ic+FX
dYje4h95pa23/oasLXRJYl2tORcGsNTXbK/LEqqmg296LALfcIQw09YvyN8eSR9P
gi4dkUYUsKtxe4oTSo2AQ1jWy4yooAWJmDq9tFuCDgfxiT0qKLeTZw2bLG/NIGaW
gSI01DqAWuuTnDO+s6hE3IRid/cYkeT86v72OaYywmZSAOYqx7G+pbEMJhcFzqMT
ZwIDAQAB
-----END PUBLIC KEY-----
"""

RS256_TOKEN = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJleHAiOjk5OTk5OTk5OTksInN1YiI6ImZvbyJ9."
    "LDg8F_IPGN83idjCSAw0rCQjUMx5pCvon-_3PH0pZ0DoZ43Q1Yzo4zZDPOHZa9KnpuOKTXlNA9QFj06o9dmUtRUr"
    "4YM2UZ8OXgRLsMWrXtvSmvOHy67zyOfi0A5cVAj0gxkZ_GMpSX_CkDoV_0s4IOssbWX9ncZ_oYVyBmdSFKyjGo9t"
    "GIiBh3ExcZujTN-VyrQSh9Zhoqr88zkvQVq8RIamf4E-D6-wDFQb4KCGQ7tNw40q5H2c9GxbKVUW8qr3ZFMxknL7"
    "Rr1Bu_7OpQ-cAgltd5NO0j1lpflJ_t6oW4xeci6oL1z9_69kWcxx35cgAp2OFv6b930dBrOffVzo_A"
)
"""Signs ``{"exp":9999999999,"sub":"foo"}`` with PRIVATE_KEY."""


def base64url(data: bytes | str) -> str:
    data = data.encode() if isinstance(data, str) else data
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: str, payload: str) -> str:
    return f"{base64url(header)}.{base64url(payload)}"


def hs256(header: str, payload: str, secret: str) -> str:
    """Return a token of that header and payload, whatever they say, signed with *secret*."""
    signed = unsigned(header, payload)
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64url(mac)}"


def rs256(header: str, payload: str) -> str:
    """Return a token of that header and payload, signed with PRIVATE_KEY."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    signed = unsigned(header, payload)
    key = serialization.load_pem_private_key(PRIVATE_KEY.encode(), None)
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64url(signature)}"
