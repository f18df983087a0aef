"""What the page's tests need."""

import pytest

for package in ("onnx", "onnxruntime", "fastapi", "uvicorn", "httpx"):
    pytest.importorskip(package, reason="the page needs the extra 'serve', its tests onnx and a client")
