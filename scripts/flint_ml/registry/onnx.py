"""An ``MLmodel`` for an ONNX file, so that ``mlflow models serve`` and ``mlflow.pyfunc.load_model`` take it.

Written as text: neither onnx nor onnxruntime is needed here, and the file is not opened.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from flint_ml.registry.content import Content, read_content

_PYTHON = "3.11"
# What serving needs; unpinned, because nothing here knows what the file was made with.
_REQUIREMENTS = ("mlflow", "onnx", "onnxruntime", "pandas")


def described_as_mlflow(content: Content, folder: Path) -> Content:
    """``content`` of one ONNX file with ``MLmodel`` and environment files beside it, written to ``folder``.

    The hash stays that of the ONNX file: what is generated is no part of the model's identity.
    """
    name = content.files[0].name
    texts = {
        "MLmodel": _mlmodel(name),
        "requirements.txt": "".join(f"{package}\n" for package in _REQUIREMENTS),
        "python_env.yaml": f'python: "{_PYTHON}"\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n',
        "conda.yaml": "name: mlflow-env\nchannels: [conda-forge]\n"
        f"dependencies: ['python={_PYTHON}', pip, {{pip: {json.dumps(list(_REQUIREMENTS))}}}]\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return replace(content, files=(*content.files, *read_content(folder, folder.name).files))


def _mlmodel(name: str) -> str:
    quoted = json.dumps(name, ensure_ascii=False)
    return f"""flavors:
  onnx:
    data: {quoted}
    providers: [CPUExecutionProvider]
  python_function:
    data: {quoted}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: mlflow.onnx
    python_version: "{_PYTHON}"
"""
