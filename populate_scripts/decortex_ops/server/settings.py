"""How the private MySQL is run: each option with its reason. Starts nothing."""

from __future__ import annotations

from pathlib import Path

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 200


def common_options(data: Path) -> list[str]:
    """Options of both the initialisation and the server, without ``--no-defaults`` (it must be the very first)."""
    return [
        f"--datadir={data}",
        # The default collation is case-insensitive: 'KMEANS' and 'kmeans' would be one primary key.
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_bin",
        # One server, nothing replicates from it: the binary log would only double every write.
        "--disable-log-bin",
        # Redo space for one blob of the largest size in use; "loose": 8.0.13 to 8.0.29 do not know the name.
        "--loose-innodb-redo-log-capacity=128M",
        # Kernel AIO slots are few on shared machines and tmpfs and some network file systems have none.
        "--innodb-use-native-aio=OFF",
    ]


def server_options(*, data: Path, socket: Path, pid_file: Path, temporary: Path, port: int) -> list[str]:
    """Options of the running server.

    Parameters
    ----------
    data, socket, pid_file, temporary : Path
        The data folder, the unix socket, the server's own pid file and the folder for temporary tables.
    port : int
        TCP port on the loopback interface.

    Returns
    -------
    list of str
        To be put behind the binary and ``--no-defaults``.
    """
    return [
        *common_options(data),
        f"--socket={socket}",
        f"--pid-file={pid_file}",
        f"--tmpdir={temporary}",
        f"--port={port}",
        # Private: no other machine reaches it, and no client of it reads or writes files of the account.
        f"--bind-address={LOOPBACK}",
        "--skip-name-resolve",
        "--secure-file-priv=NULL",
        "--local-infile=OFF",
        # The X protocol would open a second port and a second socket.
        "--mysqlx=OFF",
        # A laptop's footprint: without the performance schema and with this pool the server holds some 200 MB.
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=256M",
        "--table-open-cache=1000",
        f"--max-connections={MAX_CONNECTIONS}",
        # Arrays and checkpoints travel as single values; this is the protocol's limit.
        "--max-allowed-packet=1G",
        # Durable: a committed row is on the disk, also after the power fails.
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-doublewrite=ON",
    ]
