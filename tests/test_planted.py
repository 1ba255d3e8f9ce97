"""A corpus of planted secrets: none survives, in no dress; and nothing that diagnoses is lost with them."""

from __future__ import annotations

import re

import pytest

from diagnose import mask
from diagnose.mask.documents import undone
from tests import planted
from tests.planted import Planted, leaked
