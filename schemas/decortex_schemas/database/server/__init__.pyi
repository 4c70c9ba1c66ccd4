from .connection import (
    LabConnection,
    declaring,
    hold_store,
    open_lab_connection,
)
from .datajoint_guards import (
    declared_by_one,
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
from .settings import (
    Settings,
    database_name,
    object_store,
    read_settings,
    store_folder,
)
from .tls import (
    Tls,
    driver_arguments,
    read_tls,
)
from .version_check import (
    MINIMUM_MYSQL,
    check_server,
)

__all__ = [
    "MINIMUM_MYSQL",
    "LabConnection",
    "Settings",
    "Tls",
    "check_server",
    "connection_refusal",
    "database_name",
    "declared_by_one",
    "declaring",
    "disk_is_full",
    "driver_arguments",
    "hold_store",
    "install",
    "object_store",
    "open_lab_connection",
    "read_settings",
    "read_tls",
    "refusal_of",
    "refuse_foreign_settings",
    "server_disk_is_full",
    "server_refusal",
    "store_folder",
]
