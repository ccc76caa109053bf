"""Media types of files, by the suffixes of their names.

The table of the operating system is not used, since it differs between machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Source: libprocess src/mime.cpp.
_LIBPROCESS = {
    "application/msword": ".doc .dot .wiz",
    "application/octet-stream": ".a .bin .dll .exe .o .obj .so",
    "application/oda": ".oda",
    "application/pdf": ".pdf",
    "application/pkcs7-mime": ".p7c",
    "application/postscript": ".ai .eps .ps",
    "application/vnd.ms-excel": ".xlb .xls",
    "application/vnd.ms-powerpoint": ".pot .ppa .pps .ppt .pwz",
    "application/x-bcpio": ".bcpio",
    "application/x-cpio": ".cpio",
    "application/x-csh": ".csh",
    "application/x-dvi": ".dvi",
    "application/x-gtar": ".gtar",
    "application/x-hdf": ".hdf",
    "application/x-javascript": ".js",
    "application/x-latex": ".latex",
    "application/x-mif": ".mif",
    "application/x-netcdf": ".cdf .nc",
    "application/x-pkcs12": ".p12 .pfx",
    "application/x-pn-realaudio": ".ram",
    "application/x-python-code": ".pyc .pyo",
    "application/x-sh": ".sh",
    "application/x-shar": ".shar",
    "application/x-shockwave-flash": ".swf",
    "application/x-sv4cpio": ".sv4cpio",
    "application/x-sv4crc": ".sv4crc",
    "application/x-tar": ".tar",
    "application/x-tcl": ".tcl",
    "application/x-tex": ".tex",
    "application/x-texinfo": ".texi .texinfo",
    "application/x-troff": ".roff .t .tr",
    "application/x-troff-man": ".man",
    "application/x-troff-me": ".me",
    "application/x-troff-ms": ".ms",
    "application/x-ustar": ".ustar",
    "application/x-wais-source": ".src",
    "application/xml": ".rdf .wsdl .xpdl .xsl",
    "application/zip": ".zip",
    "audio/basic": ".au .snd",
    "audio/mpeg": ".mp2 .mp3",
    "audio/x-aiff": ".aif .aifc .aiff",
    "audio/x-pn-realaudio": ".ra",
    "audio/x-wav": ".wav",
    "image/gif": ".gif",
    "image/ief": ".ief",
    "image/jpeg": ".jpe .jpeg .jpg",
    "image/png": ".png",
    "image/tiff": ".tif .tiff",
    "image/x-cmu-raster": ".ras",
    "image/x-ms-bmp": ".bmp",
    "image/x-portable-anymap": ".pnm",
    "image/x-portable-bitmap": ".pbm",
    "image/x-portable-graymap": ".pgm",
    "image/x-portable-pixmap": ".ppm",
    "image/x-rgb": ".rgb",
    "image/x-xbitmap": ".xbm",
    "image/x-xpixmap": ".xpm",
    "image/x-xwindowdump": ".xwd",
    "message/rfc822": ".eml .mht .mhtml .nws",
    "text/css": ".css",
    "text/html": ".htm .html",
    "text/plain": ".bat .c .h .ksh .pl .txt",
    "text/richtext": ".rtx",
    "text/tab-separated-values": ".tsv",
    "text/x-python": ".py",
    "text/x-setext": ".etx",
    "text/x-sgml": ".sgm .sgml",
    "text/x-vcard": ".vcf",
    "text/xml": ".xml",
    "video/mp4": ".mp4",
    "video/mpeg": ".m1v .mpa .mpe .mpeg .mpg",
    "video/quicktime": ".mov .qt",
    "video/x-msvideo": ".avi",
    "video/x-sgi-movie": ".movie",
}
# Suffixes that libprocess does not know.
_ADDED = {
    "application/gzip": ".gz",
    "application/json": ".json .map",
    "application/manifest+json": ".webmanifest",
    "application/wasm": ".wasm",
    "application/x-javascript": ".mjs",
    "audio/ogg": ".oga .ogg",
    "font/otf": ".otf",
    "font/ttf": ".ttf",
    "font/woff": ".woff",
    "font/woff2": ".woff2",
    "image/avif": ".avif",
    "image/svg+xml": ".svg",
    "image/vnd.microsoft.icon": ".ico",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "video/webm": ".webm",
}


def _by_suffix(*tables: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(
        {
            suffix: kind
            for table in tables
            for kind, some in table.items()
            for suffix in some.split()
        }
    )


MEDIA_TYPES = _by_suffix(_LIBPROCESS, _ADDED)
"""Media types by suffix, such as ``text/html`` for ``.html``."""


def find_media_type(name: str, types: Mapping[str, str] = MEDIA_TYPES) -> str | None:
    """Return the media type of a file, None for an unknown suffix.

    The suffix begins at the last dot of the last part of the name, which may be its first
    character.

    Args:
        name: the name or path of the file.
        types: media types by suffix.

    Source: libprocess include/process/process.hpp, ProcessBase::provide.
    Differs: a suffix in upper case is found, too.
    """
    base = name.rpartition("/")[2]
    dot = base.rfind(".")
    if dot < 0:
        return None
    suffix = base[dot:]
    return types.get(suffix) or types.get(suffix.lower())
