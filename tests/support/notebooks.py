"""Jupyter notebooks as programs write them."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

CellSource = str | tuple[str, str]


def notebook(
    *sources: CellSource,
    indent: int | None = 1,
    as_list: bool = True,
    image_bytes: int = 0,
    metadata: dict[str, Any] | None = None,
) -> str:
    """Return a notebook of nbformat 4: a text is a code cell, a pair is (type, text).

    Every code cell has an output with an image of ``image_bytes`` random bytes.
    """
    cells: list[dict[str, Any]] = []
    for number, source in enumerate(sources):
        kind, text = ("code", source) if isinstance(source, str) else source
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        if kind == "code":
            image = base64.b64encode(random.Random(number).randbytes(image_bytes)).decode()
            data = {"image/png": image, "text/plain": ['<Figure "of an output">\n', "plotted_output"]}
            outputs = [{"output_type": "display_data", "metadata": {}, "data": data}] if image_bytes else []
            cell |= {"execution_count": number, "outputs": outputs}
        cell["source"] = text.splitlines(keepends=True) if as_list else text
        cells.append(cell)
    whole = {"cells": cells, "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=indent, ensure_ascii=False) + "\n"
