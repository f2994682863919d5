"""Every payload format, in one table. A new format is one file here, one entry, and one name in the settings."""

from collections.abc import Mapping
from types import MappingProxyType

from config.settings import PayloadFormat
from ingest.formats import native, senml
from ingest.formats.columns import Decoder

FORMATS: Mapping[PayloadFormat, Decoder] = MappingProxyType(
    {PayloadFormat.NATIVE: native.decode, PayloadFormat.SENML: senml.decode}
)
"""How the payloads of each format are decoded."""
