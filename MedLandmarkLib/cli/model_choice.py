"""Which model to run where the user names none."""

from ..models.choice import choose_model as choose_model
