"""How the private MySQL is run: each option with its reason. Starts nothing."""

from __future__ import annotations

from pathlib import Path

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 200


def common_options(data: Path) -> list[str]:
    """Options of both the initialisation and the server."""
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
        # A laptop's footprint: 280 MB of memory; with the performance schema MySQL 9.7 holds 550 MB.
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=256M",
        "--table-open-cache=1000",
        # By default a connection has a sixteenth of the cache, fewer than the pipeline's tables: one that reads them in
        # turn would have each opened anew.
        "--table-open-cache-instances=1",
        f"--max-connections={MAX_CONNECTIONS}",
        # By default the server starts threads to count the rows of a table, which for small ones takes longer than
        # to read them; "loose": 8.0.13 does not know the name.
        "--loose-innodb-parallel-read-threads=1",
        # Arrays and checkpoints travel as single values; this is the protocol's limit.
        "--max-allowed-packet=1G",
        # Durable: a committed row is on the disk, also after the power fails.
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-doublewrite=ON",
    ]


def accounts_sql(user: str, password: str) -> str:
    """Return the statements that give both accounts their password, one to a line as an init file wants it.

    The server runs them at every start before it accepts anybody. So no server ever listens with the empty
    password of a new data folder, and a password file that was lost is replaced without touching the data.

    Parameters
    ----------
    user : str
        The account of all clients, which come by TCP. ``root`` may come by the socket only.
    password : str
        Letters and digits.
    """
    account = f"'{user}'@'{LOOPBACK}'"
    return (
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';\n"
        f"ALTER USER {account} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n"
    )
