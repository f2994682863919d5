"""Every payload format, in one table. A new format is one file here, one entry, and one name in the settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from config.settings import PayloadFormat
from ingest.formats import (
    chirpstack,
    frigate,
    hj212,
    native,
    onvif,
    senml,
    senml_cbor,
    sparkplug,
    tasmota,
    ttn,
    zigbee2mqtt,
)
from ingest.formats.columns import Decoder

FORMATS: Mapping[PayloadFormat, Callable[[], Decoder]] = MappingProxyType(
    {
        PayloadFormat.NATIVE: lambda: native.decode,
        PayloadFormat.SENML: lambda: senml.decode,
        PayloadFormat.SENML_CBOR: lambda: senml_cbor.decode,
        PayloadFormat.CHIRPSTACK: lambda: chirpstack.decode,
        PayloadFormat.TTN: lambda: ttn.decode,
        PayloadFormat.FRIGATE: frigate.Decoder,
        PayloadFormat.ONVIF: onvif.Decoder,
        PayloadFormat.ZIGBEE2MQTT: lambda: zigbee2mqtt.decode,
        PayloadFormat.TASMOTA: lambda: tasmota.decode,
        PayloadFormat.SPARKPLUG: sparkplug.Decoder,
        PayloadFormat.HJ212: hj212.Decoder,
    }
)
"""What makes a decoder of each format. Every intake has its own: some remember what devices said of themselves."""
