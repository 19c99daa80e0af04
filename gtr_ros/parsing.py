# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML that others wrote: whatever their parsers raise becomes one error."""

from __future__ import annotations

import json
from typing import Any


class ParseError(ValueError):
    """
    A text that is not JSON or YAML; the message says why, and where if that is known.

    :param line: from 1; None: unknown
    """

    def __init__(self, rule: str, line: int | None = None) -> None:
        super().__init__(rule)
        self.line = line


def parse_json(text: str) -> Any:
    """
    Parse JSON.

    :raises ParseError: if it is not JSON, has numbers of thousands of digits, or is nested deeply
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ParseError(f'not JSON: {error.msg} (column {error.colno})', error.lineno) from None
    except ValueError as error:
        raise ParseError(f'not JSON: {error}') from None
    except RecursionError:
        raise ParseError('not JSON: it is nested too deeply') from None


def parse_yaml(text: str) -> Any:
    """
    Parse YAML; nothing in it can run code.

    :raises ParseError: if it is not YAML, or a value in it is none, such as the 31st of June
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise ParseError('not YAML: it is nested too deeply') from None
    except Exception as error:  # besides its own errors, those of the conversions of values
        raise ParseError(f'not YAML: {error}') from None
