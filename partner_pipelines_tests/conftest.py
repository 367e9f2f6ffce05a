"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# How long an example takes says how busy the machine is. HYPOTHESIS_PROFILE=thorough takes twice as many
settings.register_profile("any machine", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "any machine"))
