"""The bundled model as a sentence-transformers module, so that ``SentenceTransformer`` can load its directory.

``modules.json`` in the model's directory names :class:`WordRows`; codeindexd must be importable, and the caller must
allow code from outside sentence-transformers (``trust_remote_code=True``). The daemon never imports this module, which
needs torch. Unlike :class:`StaticModel`, it has the rows as one trainable float32 parameter; ``save`` quantises it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Self

import torch
from sentence_transformers.base.modules import InputModule

from codeindexd.analysis.embedding import static
from codeindexd.analysis.embedding.static import StaticModel


class WordRows(InputModule):  # type: ignore[misc, unused-ignore]
    """A module that embeds texts as :class:`StaticModel` does: a normalised weighted sum of word rows."""

    def __init__(self, model: StaticModel, directory: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self._model = model
        self._directory = directory
        self.rows = torch.nn.Parameter(torch.from_numpy(model.table()))

    def preprocess(  # type: ignore[override, unused-ignore]
        self, inputs: list[str], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Return the rows of all texts, their weights, and the start of each text in them.

        ``prompt`` is prepended to every text.
        """
        rows, weights, bounds = self._model.bags([f"{prompt}{text}" if prompt else text for text in inputs])
        return {
            "input_ids": torch.from_numpy(rows),
            "weights": torch.from_numpy(weights),
            "offsets": torch.from_numpy(bounds[:-1]),
        }

    def forward(self, features: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Add ``sentence_embedding`` (n, dimensions), of norm 1, to ``features``."""
        summed = torch.nn.functional.embedding_bag(
            features["input_ids"],
            self.rows,
            features["offsets"],
            mode="sum",
            per_sample_weights=features["weights"],
        )
        features["sentence_embedding"] = torch.nn.functional.normalize(summed, dim=1)
        return features

    def get_embedding_dimension(self) -> int:
        """Return the number of values in a vector."""
        return self._model.dimensions

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the model's files with the present rows, quantised to int8."""
        target = Path(output_path)
        target.mkdir(parents=True, exist_ok=True)
        config = json.loads((self._directory / static.CONFIG).read_bytes())
        shutil.copyfile(self._directory / static.HASHES, target / static.HASHES)
        static.write_rows(target, self.rows.detach().cpu().numpy(), config)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load the module from a local directory. Raises EmbedderError if it is damaged."""
        directory = Path(model_name_or_path) / subfolder
        return cls(StaticModel.load(directory), directory)
