"""Tiny models of every family, and processors whose images take 4 to 36 tokens."""

import pytest

from sgg.models import tiny
from sgg.models.families import FAMILIES
from sgg.models.processor import build_processor


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def processor(family):
    area = family.factor**2
    return build_processor(tiny.build_tokenizer(family), family, 4 * area, 36 * area)
