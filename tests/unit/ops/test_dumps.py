"""A dump holds declarations and rows, and nothing that reads elsewhere with an administrator's rights."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from decortex_ops.admin.table_rows import is_ours

DUMP = Path(__file__).resolve().parents[2] / "data" / "version_2" / "dump.sql.gz"
CREATE = "CREATE TABLE `x` ( `a` int NOT NULL COMMENT 'it''s; -- `b`.`c`', PRIMARY KEY (`a`)) ENGINE=InnoDB"
GOOD = [
    "INSERT INTO `x` VALUES (NULL,0x00ff,'','it\\'s; LOAD_FILE(\\\\'),('SELECT','a\\nb','\\\\');\n",
    CREATE + ";\n",
]
BAD = {
    "function": "INSERT INTO `x` VALUES (LOAD_FILE('/etc/passwd'));\n",
    "question": "INSERT INTO `x` VALUES ((SELECT authentication_string FROM mysql.user LIMIT 1));\n",
    "behind a text": "INSERT INTO `x` VALUES ('a\\\\',LOAD_FILE('/etc/passwd'));\n",
    "comment": "INSERT INTO `x` VALUES (/*! LOAD_FILE('/etc/passwd') */);\n",
    "select": "INSERT INTO `x` SELECT * FROM `mysql`.`user`;\n",
    "elsewhere": "INSERT INTO `mysql`.`user` VALUES ('a');\n",
    "variable": "INSERT INTO `x` VALUES (@@datadir);\n",
    "created from": CREATE + " SELECT * FROM `mysql`.`user`;\n",
    "created as": "CREATE TABLE `x` (LIKE `mysql`.`user`);\n",
    "created of a table": CREATE + " TABLE `mysql`.`user`;\n",
    "reference": "CREATE TABLE `x` ( `a` int, FOREIGN KEY (`a`) REFERENCES `other` . `y` (`a`));\n",
    "folder": CREATE + " DATA DIRECTORY='/tmp';\n",
    "executable comment": CREATE + " /*!50100 DATA DIRECTORY='/tmp' */;\n",
    "server": CREATE + " CONNECTION='mysql://elsewhere/a';\n",
    "two": CREATE + "; DROP TABLE `study`;\n",
    "other": "DROP TABLE `study`;\n",
}


@pytest.mark.parametrize("statement", GOOD)
def test_rows_and_declarations_are_taken_whatever_their_texts(statement: str) -> None:
    assert is_ours(statement)


@pytest.mark.parametrize("statement", BAD.values(), ids=BAD)
def test_what_reads_or_writes_elsewhere_is_not(statement: str) -> None:
    assert not is_ours(statement)


def test_a_whole_dump_is() -> None:
    with gzip.open(DUMP, "rt", encoding="utf-8", newline="\n") as lines:
        statements = [line for line in lines if not line.startswith("--")]
    assert len(statements) > 200
    assert all(is_ours(statement) for statement in statements)
