"""The one tree of errors; every message says what was expected, what came and what to do.

::

    DecortexError
    |-- InputError (ValueError)        an array or argument that a function cannot work on
    |   |-- ConfigError                an unknown method, or a parameter out of its range
    |   |-- DatasetError               a recording folder or session that is not what it should be
    |   `-- CheckpointError            a checkpoint that cannot be read or does not fit its dataset
    `-- OperationError (RuntimeError)  the surroundings fail: server, store, worker
        |-- DatabaseError              the database cannot be reached, refuses us or is not what we need
        `-- StoreError                 the store of arrays and checkpoints cannot be reached, or refuses us
"""

# Of a longer message the beginning and the end are shown: what was given may be a megabyte.
LONGEST_MESSAGE = 6000


class DecortexError(Exception):
    """Anything that decortex itself reports."""

    def __str__(self) -> str:
        """Return the message, without the middle of a very long one."""
        text = super().__str__()
        if len(text) <= LONGEST_MESSAGE:
            return text
        half = LONGEST_MESSAGE // 2
        return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


class InputError(DecortexError, ValueError):
    """An array or argument that a function cannot work on."""


class ConfigError(InputError):
    """An unknown method, or a parameter out of its range."""


class DatasetError(InputError):
    """A recording folder or session that is not what it should be."""


class CheckpointError(InputError):
    """A checkpoint that cannot be read or does not fit its dataset."""


class OperationError(DecortexError, RuntimeError):
    """The surroundings fail: server, store, worker."""


class DatabaseError(OperationError):
    """The database cannot be reached, refuses us or is not what we need."""


class StoreError(OperationError):
    """The store of arrays and checkpoints cannot be reached, or refuses us."""
