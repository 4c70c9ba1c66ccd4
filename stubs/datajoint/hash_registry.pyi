from typing import Any

from datajoint.storage import StorageBackend

def get_store_backend(store_name: str | None = ..., config: Any = ...) -> StorageBackend: ...
