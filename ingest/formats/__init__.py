"""Every payload format, in one table. A new format is one file here, one entry, and one name in the settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from config.settings import PayloadFormat
from ingest.formats import native, senml
from ingest.formats.columns import Decoder

FORMATS: Mapping[PayloadFormat, Callable[[], Decoder]] = MappingProxyType(
    {
        PayloadFormat.NATIVE: lambda: native.decode,
        PayloadFormat.SENML: lambda: senml.decode,
    }
)
"""What makes a decoder of each format. Every intake has its own: some remember what devices said of themselves."""
