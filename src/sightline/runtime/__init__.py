"""An exported folder at work: an inference session between the run's preprocessing and its decoding. No torch, and none
of the code that trains.

    from sightline import runtime
    model = runtime.open("exports/photos")
    model.predict("cat.jpg")   # {"label": "cat", "probability": 0.98, "top": [["cat", 0.98], …]}
"""

from .model import Model as Model
from .model import open_model as open

__all__ = ["Model", "open"]
