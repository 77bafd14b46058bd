import pytest
from model_families import FAMILIES, build, small_config

from llmlib.model import Transformer


@pytest.fixture(params=FAMILIES)
def model(request) -> Transformer:
    """One causal model of each family."""
    return build(small_config(request.param))
