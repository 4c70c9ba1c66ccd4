"""Connect, and wait a second for the lock under which tables are declared; prints 'held', or who has it."""

from __future__ import annotations

import decortex_schemas as schemas
from decortex.errors import DatabaseError
from decortex_schemas.database import database_name
from decortex_schemas.database.server.connection import declaring

schemas.connect()
try:
    with declaring(schemas.schema.connection, database_name(), seconds=1):
        print("held")
except DatabaseError as error:
    print(error)
