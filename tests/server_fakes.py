"""Stand-ins for the server tests: programs that answer as mysqld or as the package tools do."""

from __future__ import annotations

from pathlib import Path

MYSQL_8 = "mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)"
MYSQL_57 = "mysqld  Ver 5.7.44 for Linux on x86_64 (MySQL Community Server (GPL))"
MARIADB = "mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)"


def program(path: Path, body: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def mysqld(path: Path, *, says: str = MYSQL_8, initialise: str = "exit 0", serve: str = "exit 1") -> Path:
    """Write a mysqld that knows ``--version`` and runs the given shell code for the rest.

    The code finds its data folder in ``$data``.
    """
    body = f"""
    for word in "$@"; do
        case "$word" in
            --version) echo '{says}'; exit 0 ;;
            --datadir=*) data=${{word#--datadir=}} ;;
            --initialize-insecure) new=yes ;;
        esac
    done
    if [ "$new" = yes ]; then mkdir -p "$data"; {initialise}; fi
    {serve}
    """
    return program(path, body)


def package_tools(folder: Path) -> Path:
    """Write apt-get, apt-cache, apt-config and dpkg-deb for an archive of two packages; return their log.

    ``lib`` holds a dynamic linker that runs what it is given, ``mysql-server-core`` a mysqld. A file
    ``unreachable`` in the folder makes the archive unreachable, a file ``breaks`` ends the download early.
    """
    log = folder / "calls.log"
    for name, content in (("lib_1_all.deb", "library"), ("mysql-server-core_9_all.deb", "server")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    program(folder / "apt-config", "echo 'Acquire::http::Proxy \"http://proxy.example:3128\";'")
    program(
        folder / "apt-cache",
        """
        case "$1" in
            policy) printf 'mysql-server-core:\\n  Candidate: 9\\nmysql-server-core-8.0:\\n  Candidate: (none)\\n' ;;
            depends) printf 'mysql-server-core\\n  Depends: lib\\n  Depends: <perl:any>\\n    perl\\nlib\\n' ;;
        esac
        """,
    )
    program(
        folder / "apt-get",
        f"""
        echo "$*" >> "{log}"
        case "$*" in
            update*)
                if [ -e "{folder}/unreachable" ]; then
                    echo "W: Failed to fetch http://me:geheim@mirror.example/dists/sid/InRelease" >&2
                fi ;;
            *--print-uris*)
                for file in "{folder}"/*.deb; do
                    name=$(basename "$file")
                    set -- $(sha256sum "$file")
                    echo "'http://mirror.example/$name' $name $(wc -c < "$file") SHA256:$1"
                done ;;
            download*)
                cp "{folder}/lib_1_all.deb" .
                if [ -e "{folder}/breaks" ]; then echo "E: connection lost" >&2; exit 100; fi
                cp "{folder}/mysql-server-core_9_all.deb" . ;;
        esac
        """,
    )
    mysqld(folder / "payload-mysqld", says=MYSQL_8)
    program(folder / "payload-linker", 'shift 2; exec "$@"')
    program(
        folder / "dpkg-deb",
        f"""
        case "$2" in
            */lib_1_all.deb) mkdir -p "$3/usr/lib/x86_64-linux-gnu"
                cp "{folder}/payload-linker" "$3/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" ;;
            *) mkdir -p "$3/usr/sbin" "$3/usr/share/doc/mysql"
                cp "{folder}/payload-mysqld" "$3/usr/sbin/mysqld" ;;
        esac
        """,
    )
    return log
