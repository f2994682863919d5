"""Base errors. Every failure that leaves a room is one of these, and says whether trying again can help."""


class GridwhistleError(Exception):
    """Anything that this project raises on purpose."""


class ConfigurationError(GridwhistleError):
    """The settings or the city are wrong; a person must mend them. Never worth retrying."""


class RetryableError(GridwhistleError):
    """The other side failed (a broker, a store, a gateway); the same call may succeed later."""


class PermanentError(GridwhistleError):
    """The other side refused; the same call will be refused again."""
