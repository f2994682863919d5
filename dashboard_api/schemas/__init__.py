"""What goes over the wire, as pydantic models: field names in plain English, times as RFC 3339 in UTC."""
