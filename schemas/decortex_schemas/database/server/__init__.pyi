from .connection import (
    LabConnection,
    declaring,
    hold_store,
    open_lab_connection,
)
from .datajoint_guards import (
    install,
    refuse_foreign_settings,
)
from .refusals import (
    connection_refusal,
    disk_is_full,
    refusal_of,
    server_disk_is_full,
    server_refusal,
)
from .tls import (
    Tls,
    driver_arguments,
    read_tls,
)

__all__ = [
    "LabConnection",
    "Tls",
    "connection_refusal",
    "declaring",
    "disk_is_full",
    "driver_arguments",
    "hold_store",
    "install",
    "open_lab_connection",
    "read_tls",
    "refusal_of",
    "refuse_foreign_settings",
    "server_disk_is_full",
    "server_refusal",
]
