"""The command line. Every command is thin: it reads its words, calls one function and prints the answer."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import pymysql
import typer

from decortex.errors import DecortexError
